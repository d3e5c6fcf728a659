# Hands node-gyp over to CMake (`ilr-native setup` does not need this file, and the published package lacks it: npm would
# run node-gyp at install time).
{
  "targets": [
    {
      "target_name": "ilr",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["native/build/ilr.node"],
          "action": ["node", "node_modules/cmake-js/bin/cmake-js", "build", "-O", "native/build", "--CDILR_LIBTORCH=<!(node -p \"process.env.ILR_LIBTORCH || ''\")"]
        }
      ]
    }
  ]
}
