// preload(path): loads one shared library by absolute path, its symbols visible to all that follow, so that
// cortune.node finds libtorch without an RPATH. Returns undefined, or the dynamic linker's message.
#include <dlfcn.h>
#include <node_api.h>

#include <string>

static napi_value preload(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value argument = nullptr, result = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (napi_get_value_string_utf8(env, argument, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_ARGUMENT", "Expected `path` to be a string");
    return nullptr;
  }
  std::string path(length + 1, '\0');
  napi_get_value_string_utf8(env, argument, path.data(), path.size(), &length);
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    napi_create_string_utf8(env, reason ? reason : "unknown reason", NAPI_AUTO_LENGTH, &result);
  }
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "preload", NAPI_AUTO_LENGTH, preload, nullptr, &function);
  napi_set_named_property(env, exports, "preload", function);
  return exports;
}
