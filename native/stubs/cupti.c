/*
 * Stand-in for libcupti.so.13 (CUDA's profiling interface) on machines without CUDA; see cudart.c.
 * Every call answers "not initialized", which the profiler inside libtorch takes as "no CUPTI here".
 */
#include <stddef.h>

enum { CUPTI_ERROR_NOT_INITIALIZED = 15 };

/* The callers pass arguments in registers and own them; a stub that ignores them needs no parameter list. */
#define NOT_INITIALIZED(name) \
  int name(void) { return CUPTI_ERROR_NOT_INITIALIZED; }

NOT_INITIALIZED(cuptiActivityDisable)
NOT_INITIALIZED(cuptiActivityEnable)
NOT_INITIALIZED(cuptiActivityEnableCudaEventDeviceTimestamps)
NOT_INITIALIZED(cuptiActivityEnableDriverApi)
NOT_INITIALIZED(cuptiActivityEnableRuntimeApi)
NOT_INITIALIZED(cuptiActivityFlushAll)
NOT_INITIALIZED(cuptiActivityGetNextRecord)
NOT_INITIALIZED(cuptiActivityPopExternalCorrelationId)
NOT_INITIALIZED(cuptiActivityPushExternalCorrelationId)
NOT_INITIALIZED(cuptiActivityRegisterCallbacks)
NOT_INITIALIZED(cuptiActivityRegisterTimestampCallback)
NOT_INITIALIZED(cuptiActivitySetAttribute)
NOT_INITIALIZED(cuptiEnableCallback)
NOT_INITIALIZED(cuptiEnableDomain)
NOT_INITIALIZED(cuptiFinalize)
NOT_INITIALIZED(cuptiSubscribe)
NOT_INITIALIZED(cuptiUnsubscribe)

/* These give something back through a pointer, which their callers read without looking at the result. */

int cuptiActivityGetNumDroppedRecords(void *context, unsigned stream, size_t *dropped) {
  (void)context;
  (void)stream;
  if (dropped != NULL) *dropped = 0;
  return CUPTI_ERROR_NOT_INITIALIZED;
}

int cuptiGetVersion(unsigned *version) {
  if (version != NULL) *version = 0;
  return CUPTI_ERROR_NOT_INITIALIZED;
}

int cuptiGetResultString(int result, const char **text) {
  (void)result;
  if (text != NULL) *text = "CUPTI_ERROR_NOT_INITIALIZED (stand-in for libcupti)";
  return CUPTI_ERROR_NOT_INITIALIZED;
}

int cuptiGetCallbackName(int domain, unsigned callback, const char **name) {
  (void)domain;
  (void)callback;
  if (name != NULL) *name = "unknown";
  return CUPTI_ERROR_NOT_INITIALIZED;
}
