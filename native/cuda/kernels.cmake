# The target ilr_cuda: the kernels (*.cu) by nvcc and the glue by g++, linked where LibTorch has its CUDA half.
if(NOT ILR_NVCC)
  unset(ILR_NVCC CACHE)
  find_program(ILR_NVCC nvcc HINTS ENV CUDA_HOME PATH_SUFFIXES bin PATHS /usr/local/cuda)
endif()
if(NOT ILR_NVCC)
  message(FATAL_ERROR "ILR_CUDA needs nvcc: pass -DILR_NVCC=<file>, set CUDA_HOME, or get one with "
                      "`pip install --target <folder> cuda-toolkit[nvcc,crt,cudart]==13.0.3` "
                      "(<folder>/nvidia/cu13/bin/nvcc); `npx ilr-native setup --cuda` does it by itself.")
endif()
execute_process(COMMAND "${ILR_NVCC}" --version OUTPUT_VARIABLE nvcc_version RESULT_VARIABLE nvcc_status)
string(REGEX MATCH "release ([0-9]+)\\.[0-9]+" _ "${nvcc_version}")
set(nvcc_major "${CMAKE_MATCH_1}")
if(NOT nvcc_status EQUAL 0 OR NOT nvcc_major)
  message(FATAL_ERROR "${ILR_NVCC} does not run or tell its version.")
endif()
get_filename_component(cuda_toolkit "${ILR_NVCC}" REALPATH)
get_filename_component(cuda_toolkit "${cuda_toolkit}/../.." ABSOLUTE)

set(cuda_flags -std=c++20 -O3 -ccbin "${CMAKE_CXX_COMPILER}" -Xcompiler -fPIC,-Wall,-fvisibility=hidden)
foreach(architecture ${ILR_CUDA_ARCHITECTURES})
  list(APPEND cuda_flags -gencode "arch=compute_${architecture},code=sm_${architecture}")
endforeach()
# Cards newer than these compile the newest one's PTX when they load it.
list(GET ILR_CUDA_ARCHITECTURES -1 newest)
list(APPEND cuda_flags -gencode "arch=compute_${newest},code=compute_${newest}")

file(GLOB cuda_sources CONFIGURE_DEPENDS native/cuda/*.cu)
file(GLOB cuda_headers CONFIGURE_DEPENDS native/cuda/*.h)
list(APPEND cuda_headers "${CMAKE_CURRENT_SOURCE_DIR}/native/core/cuda_kernels.h")
set(cuda_objects)
foreach(source ${cuda_sources})
  get_filename_component(name "${source}" NAME)
  set(object "${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o")
  add_custom_command(OUTPUT "${object}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/cuda"
    COMMAND "${ILR_NVCC}" ${cuda_flags} -c "${source}" -o "${object}"
    DEPENDS "${source}" ${cuda_headers} VERBATIM COMMENT "Building CUDA object ${name}.o")
  list(APPEND cuda_objects "${object}")
endforeach()

add_custom_target(ilr_cuda_kernels ALL DEPENDS ${cuda_objects})

# LibTorch's own run time where it brings one, so that a process has one.
file(GLOB cudart "${ILR_LIBTORCH}/../nvidia/cu*/lib/libcudart.so.*" "${ILR_LIBTORCH}/../nvidia/cuda_runtime/lib/libcudart.so.*"
     "${ILR_LIBTORCH}/lib/libcudart*.so.*")
if(NOT cudart)
  file(GLOB cudart "${cuda_toolkit}/lib/libcudart.so.*" "${cuda_toolkit}/lib64/libcudart.so.*")
endif()
set(c10_cuda "${ILR_LIBTORCH}/lib/libc10_cuda.so")
if(EXISTS "${c10_cuda}" AND cudart)
  list(GET cudart 0 cudart)
  if(NOT cudart MATCHES "\\.so\\.${nvcc_major}[.0-9]*$")
    message(FATAL_ERROR "${ILR_NVCC} is of CUDA ${nvcc_major}, but LibTorch runs on ${cudart}: they must be of one major version.")
  endif()
  add_library(ilr_cuda SHARED native/cuda/glue.cpp ${cuda_objects})
  target_link_libraries(ilr_cuda PRIVATE "${c10_cuda}" c10 "${cudart}")
  # All that the library uses must be in these: a missing symbol is an error here, not on the machine with the GPU.
  target_link_options(ilr_cuda PRIVATE -Wl,-z,defs -Wl,--no-undefined)
  # No rpath: LibTorch is open before it is opened.
  set_target_properties(ilr_cuda PROPERTIES SKIP_BUILD_RPATH ON LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
else()
  message(WARNING "This LibTorch has no libc10_cuda.so or libcudart: the kernels are compiled but not linked.")
  add_library(ilr_cuda OBJECT native/cuda/glue.cpp)
endif()
add_dependencies(ilr_cuda ilr_cuda_kernels)
set_target_properties(ilr_cuda PROPERTIES CXX_VISIBILITY_PRESET hidden)
target_include_directories(ilr_cuda SYSTEM PRIVATE "${ILR_LIBTORCH}/include" "${cuda_toolkit}/include")
target_compile_options(ilr_cuda PRIVATE -Wall -Wextra -Wno-unused-parameter)
