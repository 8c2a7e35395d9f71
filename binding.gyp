# The entry for node-gyp: drives the same CMake build that cmake-js does, and compiles nothing itself.
{
  'targets': [
    {
      'target_name': 'cortune',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': ['CMakeLists.txt'],
          'outputs': ['<(PRODUCT_DIR)/always'],
          'action': ['node', 'bin/prepare.mjs'],
          'message': 'Building cortune with CMake',
        }
      ]
    }
  ]
}
