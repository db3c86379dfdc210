package firesteel.bridge;

/**
 * Opens servers of shards of a center variable, in executors. A shard outlives the task that opened it: it ends when
 * the fit's {@link NativeServer} is closed or has been silent for long, and when this process calls {@link
 * NativeRuntime#release}.
 */
public final class NativeShard {
  private NativeShard() {}

  /**
   * Binds a port and waits for the driver.
   *
   * @param spec the {@code ShardSpec} as JSON
   * @param module the archive of a network in TorchScript, or null
   * @return the port
   */
  public static int open(String spec, byte[] module) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.shardOpen(spec, module);
  }
}
