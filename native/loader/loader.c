// Opens LibTorch for ilr.node, which has no rpath and finds it by soname. Plain C without LibTorch, so that a missing or
// mismatched LibTorch becomes an error with a code instead of a dlopen failure, or worse: an addon built on one minor
// version opens another one without complaint and trains wrongly.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 4096

// LibTorch is a process-wide, one-time choice, whatever number of workers loads this addon.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char opened_folder[PATH_BYTES];
static bool opened_cuda;

static napi_value fail(napi_env env, const char* code, const char* message) {
  napi_throw_error(env, code, message);
  return NULL;
}

static bool open_file(const char* path, const char* name, char* message, size_t size) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return true;
  const char* reason = dlerror();
  snprintf(message, size, "Cannot open %s: %s", name, reason ? reason : "unknown reason");
  return false;
}

static bool open_library(const char* folder, const char* file, char* message, size_t size) {
  char path[PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  return open_file(path, file, message, size);
}

static bool check_version(char* message, size_t size) {
  uint64_t (*abi_version)(void) = NULL;
  *(void**)&abi_version = dlsym(RTLD_DEFAULT, "aoti_torch_abi_version");
  if (!abi_version) {
    snprintf(message, size, "This LibTorch does not tell its version (expected %d.%d).", ILR_TORCH_MAJOR, ILR_TORCH_MINOR);
    return false;
  }
  const uint64_t version = abi_version();  // major, minor, patch from the highest byte down
  const int major = (int)(version >> 56), minor = (int)(version >> 48 & 0xff);
  if (major == ILR_TORCH_MAJOR && minor == ILR_TORCH_MINOR) return true;
  snprintf(message, size, "The addon was built on LibTorch %d.%d but opened %d.%d.", ILR_TORCH_MAJOR, ILR_TORCH_MINOR, major, minor);
  return false;
}

// Returns NULL, or the code of the error that `message` describes.
static const char* open_torch(const char* folder, bool cuda, const char* kernels, char* message, size_t size) {
  if (opened_folder[0]) {
    if (strcmp(opened_folder, folder) != 0) {
      snprintf(message, size, "This process has opened the LibTorch of %s already; it cannot open another.", opened_folder);
      return "ILR_INVALID_ARGUMENT";
    }
    // One earlier call into LibTorch settles for good that the process has no CUDA.
    if (cuda && !opened_cuda) {
      snprintf(message, size,
               "LibTorch was opened for the CPU; a GPU must be asked for by the first call of the process (device: cuda or auto).");
      return "ILR_INVALID_ARGUMENT";
    }
    return NULL;
  }
  if (!open_library(folder, "libc10.so", message, size) || !open_library(folder, "libtorch_cpu.so", message, size) ||
      !check_version(message, size))
    return "ILR_NOT_SET_UP";
  if (cuda && !open_library(folder, "libtorch_cuda.so", message, size)) return "ILR_UNSUPPORTED";
  if (cuda && kernels[0] && !open_file(kernels, "libilr_cuda.so", message, size)) return "ILR_NOT_SET_UP";
  strcpy(opened_folder, folder);
  opened_cuda = cuda;
  return NULL;
}

// open(folder: string, cuda: boolean, kernels: string): void. `folder` is absolute and holds libc10.so; `kernels` is the
// absolute path of libilr_cuda.so, opened with the GPU half, or empty.
static napi_value open(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length = 0, kernels_length = 0;
  char folder[PATH_BYTES], kernels[PATH_BYTES];
  bool cuda = false;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_value_string_utf8(env, arguments[0], folder, sizeof folder, &length) != napi_ok ||
      napi_get_value_bool(env, arguments[1], &cuda) != napi_ok ||
      napi_get_value_string_utf8(env, arguments[2], kernels, sizeof kernels, &kernels_length) != napi_ok)
    return fail(env, "ILR_INVALID_ARGUMENT", "Expected open(folder: string, cuda: boolean, kernels: string).");
  if (folder[0] != '/' || length + 1 == sizeof folder)
    return fail(env, "ILR_INVALID_ARGUMENT", "Expected the absolute path of LibTorch's lib folder.");
  if ((kernels_length > 0 && kernels[0] != '/') || kernels_length + 1 == sizeof kernels)
    return fail(env, "ILR_INVALID_ARGUMENT", "Expected the absolute path of libilr_cuda.so, or an empty text.");

  char message[2 * PATH_BYTES];
  pthread_mutex_lock(&mutex);
  const char* code = open_torch(folder, cuda, kernels, message, sizeof message);
  pthread_mutex_unlock(&mutex);
  return code ? fail(env, code, message) : NULL;
}

NAPI_MODULE_INIT() {
  napi_value function, version;
  char text[16];
  snprintf(text, sizeof text, "%d.%d", ILR_TORCH_MAJOR, ILR_TORCH_MINOR);
  if (napi_create_function(env, "open", NAPI_AUTO_LENGTH, open, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "open", function) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &version) != napi_ok ||
      napi_set_named_property(env, exports, "torchVersion", version) != napi_ok)
    return NULL;
  return exports;
}
