package firesteel.bridge;

/**
 * The natives of {@code libfiresteel.so}. A handle is an id in a native registry, never an address: a stale one is an
 * {@link InternalException}. Documents are JSON texts in which every field is present. Each native throws one of the
 * exceptions of {@link NativeErrors}. Use the wrappers {@link NativeServer}, {@link NativeShard},
 * {@link NativeWorker}, {@link NativePredictor} and {@link NativeRuntime}, which load the library first.
 * A {@code module} is the archive of a network in TorchScript, null for a graph of layers.
 */
final class NativeBridge {
  private NativeBridge() {}

  // ---- the process

  /** Starts to pass the events of native code to {@link NativeLog}. */
  static native void startLogs();

  /**
   * Lets MKL use its kernels with AVX2 and AVX-512 on the processors of all makers, or on Intel's alone. Returns true if
   * it uses them.
   */
  static native boolean startMkl(boolean onAll);

  /** Returns the versions of the loaded libraries, as JSON. */
  static native String describe();

  /** Returns the counters of this process in the order of {@link NativeMetrics}. */
  static native long[] metrics();

  /** Returns shapes, parameters and layout of a network, as JSON. */
  static native String inspect(String request, byte[] module);

  /** Returns the memory that a fit needs, as JSON. */
  static native String footprint(String request);

  /** Fails unless a safetensors file holds finite weights of exactly the tensors of a network. */
  static native void checkWeights(String request, byte[] module, byte[] weights);

  /** Returns the safetensors file of a network whose weights are all 0. */
  static native byte[] zeroWeights(String request, byte[] module);

  /** Fails with this code and this text, through a real panic for the code of a panic. */
  static native void selfTest(int code, String message);

  /** Cancels every worker, closes every server and ends the I/O threads; a later open starts them again. */
  static native void release();

  /** For the shutdown hook: cancels every worker and refuses new calls from now on. */
  static native void stopAll();

  /** Returns true if all computing calls ended within this time. */
  static native boolean awaitIdle(long millis);

  /** Makes the exit of the process skip the static destructors of C++. */
  static native void exitQuietly();

  // ---- the parameter server of a fit, on the driver

  static native long serverOpen(
      String spec, byte[] module, byte[] initialWeights, byte[] checkpoint);

  static native byte[] serverCheckpoint(long server, String fingerprint);

  static native String checkpointStatus(byte[] checkpoint);

  static native String serverStatus(long server);

  static native String serverSummary(long server);

  static native void serverAttemptEnded(long server, int partition, long attempt);

  static native void serverFail(long server, int code, String message);

  static native byte[] serverWeights(long server);

  static native void serverClose(long server);

  // ---- a shard of the center variable, in an executor

  static native int shardOpen(String spec, byte[] module);

  // ---- the rows of a task

  static native String dataDigest(String spec, long arrowStream);

  // ---- the workers of a task

  static native long workerOpen(String spec, byte[] module);

  static native void workerLoad(long worker, long arrowStream);

  static native void workerShare(long worker, long other);

  /** Trains; {@code stage} is the number of the task's stage, or negative. */
  static native String workerRun(long worker, int stage);

  static native void workerAbort(long worker, int code, String message);

  static native void workerCancel(long worker);

  static native void workerClose(long worker);

  // ---- the predictor of a task

  static native long predictorOpen(String spec, byte[] module, byte[] weights);

  static native void predictorRun(
      long predictor, long inputArray, long inputSchema, long outputArray, long outputSchema);

  static native void predictorClose(long predictor);
}
