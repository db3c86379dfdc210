package firesteel.bridge;

/**
 * The workers of one task. {@link #load} belongs on the task's thread, {@link #run} on that or on one of its own;
 * {@link #cancel} and {@link #close} may be called from any thread at any time.
 */
public final class NativeWorker implements AutoCloseable {
  private final Handle handle;

  private NativeWorker(long id) {
    this.handle = new Handle(id, "worker", NativeBridge::workerClose);
  }

  /**
   * Checks the spec; opens no connection yet.
   *
   * @param spec the {@code WorkerSpec} as JSON
   * @return a worker without data
   */
  public static NativeWorker open(String spec) {
    return open(spec, null);
  }

  /**
   * Opens a worker, as {@link #open(String)}.
   *
   * @param spec the {@code WorkerSpec} as JSON
   * @param module the archive of a network in TorchScript, or null; copied unless this process has it already
   * @return a worker without data
   */
  public static NativeWorker open(String spec, byte[] module) {
    NativeLibrary.ensureLoaded();
    return new NativeWorker(NativeBridge.workerOpen(spec, module));
  }

  /**
   * Pulls a whole Arrow stream into native blocks, on this thread, and releases the stream in any case.
   *
   * @param arrowStreamAddress the address of an exported {@code ArrowArrayStream}, taken by ownership
   * @throws StreamException when the stream failed; its owner keeps the cause
   */
  public void load(long arrowStreamAddress) {
    NativeBridge.workerLoad(handle.get(), arrowStreamAddress);
  }

  /**
   * Shares the rows that another worker of this task has loaded and not yet trained, in place of a load. They are in
   * memory once, until both workers are closed or have run.
   *
   * @param other workers of another fit over the same columns
   */
  public void share(NativeWorker other) {
    NativeBridge.workerShare(handle.get(), other.handle.get());
  }

  /**
   * Trains all epochs over the loaded rows, outside a stage of Spark.
   *
   * @return the {@code WorkerReport} as JSON
   */
  public String run() {
    return run(-1);
  }

  /**
   * Trains all epochs over the loaded rows.
   *
   * @param stage the number of the task's stage, for the log
   * @return the {@code WorkerReport} as JSON
   */
  public String run(int stage) {
    return NativeBridge.workerRun(handle.get(), stage);
  }

  /**
   * Fails the whole fit with this error, which a retry of the task would meet again.
   *
   * @param code a code of {@link NativeErrors}
   * @param message the problem and its place
   */
  public void abort(int code, String message) {
    NativeBridge.workerAbort(handle.get(), code, message);
  }

  /** Makes a running call end soon with a {@link TrainingCancelledException}; without effect after the close. */
  public void cancel() {
    handle.ifOpen(NativeBridge::workerCancel);
  }

  /** Frees the rows, at the latest when a running call ends; idempotent. */
  @Override
  public void close() {
    handle.close();
  }
}
