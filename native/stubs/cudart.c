/*
 * Stand-in for libcudart.so.13 on machines without CUDA.
 *
 * The libtorch_cpu.so of the PyPI wheel names this library as needed although training on the CPU
 * never calls it. It has exactly the functions that libtorch_cpu.so takes from the real one
 * (scripts/stubs.sh checks this), and answers as the real one does where there is no device.
 * An executor with a GPU must not load it: libtorch_cuda would bind to it and see no device.
 */
#include <stddef.h>

enum { CUDA_ERROR_NO_DEVICE = 100 };

int cudaGetDeviceCount(int *count) {
  if (count != NULL) *count = 0;
  return CUDA_ERROR_NO_DEVICE;
}

int cudaDriverGetVersion(int *version) {
  if (version != NULL) *version = 0;
  return CUDA_ERROR_NO_DEVICE;
}

int cudaRuntimeGetVersion(int *version) {
  if (version != NULL) *version = 0;
  return CUDA_ERROR_NO_DEVICE;
}

int cudaGetDeviceProperties(void *properties, int device) {
  (void)properties;
  (void)device;
  return CUDA_ERROR_NO_DEVICE;
}

int cudaDeviceSynchronize(void) { return CUDA_ERROR_NO_DEVICE; }

const char *cudaGetErrorString(int error) {
  (void)error;
  return "no CUDA-capable device is detected (stand-in for libcudart)";
}
