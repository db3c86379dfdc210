package firesteel.bridge;

/**
 * The parameter server of one fit, on the driver. Its threads are native; every method may be called from any thread.
 */
public final class NativeServer implements AutoCloseable {
  private final Handle handle;

  private NativeServer(long id) {
    this.handle = new Handle(id, "parameter server", NativeBridge::serverClose);
  }

  /**
   * Binds a port and makes the initial center variable.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param initialWeights where to start, as safetensors, or null for new weights from the spec's seed
   * @return the running server
   */
  public static NativeServer open(String spec, byte[] initialWeights) {
    return open(spec, null, initialWeights);
  }

  /**
   * As {@link #open(String, byte[])}.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param module the archive of a network in TorchScript, or null
   * @param initialWeights where to start, as safetensors, or null for new weights from the spec's seed, or the module's
   * @return the running server
   */
  public static NativeServer open(String spec, byte[] module, byte[] initialWeights) {
    NativeLibrary.ensureLoaded();
    return new NativeServer(NativeBridge.serverOpen(spec, module, initialWeights, null));
  }

  /**
   * Binds a port and goes on where the fit of a checkpoint was.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param module the archive of a network in TorchScript, or null
   * @param checkpoint what {@link #checkpoint} gave
   * @return the running server
   * @throws CheckpointException when the checkpoint is damaged or of another network, strategy or number of workers
   */
  public static NativeServer resume(String spec, byte[] module, byte[] checkpoint) {
    NativeLibrary.ensureLoaded();
    return new NativeServer(NativeBridge.serverOpen(spec, module, null, checkpoint));
  }

  /**
   * What a checkpoint says of itself.
   *
   * @param checkpoint what {@link #checkpoint} gave
   * @return JSON with {@code fingerprint}, {@code version}, {@code epoch}, {@code rowsTrained} and {@code workers}
   * @throws CheckpointException saying what is damaged
   */
  public static String checkpointStatus(byte[] checkpoint) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.checkpointStatus(checkpoint);
  }

  /**
   * What the server knows of the fit now: its port, workers, progress and failure. Cheap enough to ask every second.
   *
   * @return the {@code ServerStatus} as JSON
   */
  public String status() {
    return NativeBridge.serverStatus(handle.get());
  }

  /**
   * What a fit's summary keeps beside the status: the ledger of what was trained, and the histogram of staleness.
   *
   * @return the {@code ServerSummary} as JSON
   */
  public String summary() {
    return NativeBridge.serverSummary(handle.get());
  }

  /**
   * Tells that an attempt of a task is over, so that a newer one need not wait for its lease to expire.
   *
   * @param partition the task's partition
   * @param attempt Spark's {@code taskAttemptId}
   */
  public void attemptEnded(int partition, long attempt) {
    handle.ifOpen(id -> NativeBridge.serverAttemptEnded(id, partition, attempt));
  }

  /**
   * Notes why the fit must fail, unless it must already: a shard server is lost.
   *
   * @param message the text of the {@link ServerUnreachableException} that the fit fails with
   */
  public void shardLost(String message) {
    handle.ifOpen(id -> NativeBridge.serverFail(id, ServerUnreachableException.CODE, message));
  }

  /**
   * The trained center variable and its buffers.
   *
   * @return safetensors, named as in PyTorch's {@code state_dict}
   * @throws UntrainedModelException when nothing was trained or a worker has not finished
   */
  public byte[] weights() {
    return NativeBridge.serverWeights(handle.get());
  }

  /**
   * One version of all that another server needs to go on with this fit; workers go on meanwhile.
   *
   * @param fingerprint whose checkpoint it is, for {@link #checkpointStatus}
   * @return the checkpoint, of less than 2 GiB
   */
  public byte[] checkpoint(String fingerprint) {
    return NativeBridge.serverCheckpoint(handle.get(), fingerprint);
  }

  /** Closes the port and ends the threads before it returns; idempotent. */
  @Override
  public void close() {
    handle.close();
  }
}
