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
   * Binds a port and creates the initial center variable.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param initialWeights the initial weights as safetensors, or null for new weights from the spec's seed
   * @return the running server
   */
  public static NativeServer open(String spec, byte[] initialWeights) {
    return open(spec, null, initialWeights);
  }

  /**
   * Opens a server, as {@link #open(String, byte[])}.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param module the archive of a network in TorchScript, or null
   * @param initialWeights the initial weights as safetensors, or null for new weights from the spec's seed, or the
   *     module's
   * @return the running server
   */
  public static NativeServer open(String spec, byte[] module, byte[] initialWeights) {
    NativeLibrary.ensureLoaded();
    return new NativeServer(NativeBridge.serverOpen(spec, module, initialWeights, null));
  }

  /**
   * Binds a port and resumes the fit of a checkpoint.
   *
   * @param spec the {@code ServerSpec} as JSON
   * @param module the archive of a network in TorchScript, or null
   * @param checkpoint the result of {@link #checkpoint}
   * @return the running server
   * @throws CheckpointException when the checkpoint is damaged or of another network, strategy or number of workers
   */
  public static NativeServer resume(String spec, byte[] module, byte[] checkpoint) {
    NativeLibrary.ensureLoaded();
    return new NativeServer(NativeBridge.serverOpen(spec, module, null, checkpoint));
  }

  /**
   * Returns the description of a checkpoint.
   *
   * @param checkpoint the result of {@link #checkpoint}
   * @return JSON with {@code fingerprint}, {@code version}, {@code epoch}, {@code rowsTrained} and {@code workers}
   * @throws CheckpointException naming the damage
   */
  public static String checkpointStatus(byte[] checkpoint) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.checkpointStatus(checkpoint);
  }

  /**
   * Returns the current state of the fit: its port, workers, progress and failure. Cheap enough for a call a second.
   *
   * @return the {@code ServerStatus} as JSON
   */
  public String status() {
    return NativeBridge.serverStatus(handle.get());
  }

  /**
   * Returns the part of a fit's summary that is not in the status: the ledger of trained mini-batches, and the
   * histogram of staleness.
   *
   * @return the {@code ServerSummary} as JSON
   */
  public String summary() {
    return NativeBridge.serverSummary(handle.get());
  }

  /**
   * Reports the end of a task's attempt, so that a newer one need not wait for its lease to expire.
   *
   * @param partition the task's partition
   * @param attempt Spark's {@code taskAttemptId}
   */
  public void attemptEnded(int partition, long attempt) {
    handle.ifOpen(id -> NativeBridge.serverAttemptEnded(id, partition, attempt));
  }

  /**
   * Fails the fit because a shard server is lost, unless it has failed already.
   *
   * @param message the text of the {@link ServerUnreachableException} that the fit fails with
   */
  public void shardLost(String message) {
    handle.ifOpen(id -> NativeBridge.serverFail(id, ServerUnreachableException.CODE, message));
  }

  /**
   * Returns the trained center variable and its buffers.
   *
   * @return safetensors, named as in PyTorch's {@code state_dict}
   * @throws UntrainedModelException when nothing was trained or a worker has not finished
   */
  public byte[] weights() {
    return NativeBridge.serverWeights(handle.get());
  }

  /**
   * Returns one version of everything that another server needs to resume this fit; workers continue meanwhile.
   *
   * @param fingerprint the identity of the fit, for {@link #checkpointStatus}
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
