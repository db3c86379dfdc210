package firesteel.bridge;

/**
 * Ends the JVM in order while tasks train. The static destructors of C++ would run while threads compute and crash
 * them, so a hook stops the calls, waits for them, and makes the exit skip those destructors. That last step must be
 * registered last, since it then runs first.
 */
final class Shutdown {
  /** The time for running steps to end, long enough for a large network; Spark kills an executor after 30 s. */
  private static final long DRAIN_MILLIS = 10_000;

  private Shutdown() {}

  /** Registers the hook; called once, after the library is linked. */
  static void register() {
    try {
      Runtime.getRuntime().addShutdownHook(new Thread(Shutdown::leave, "firesteel-shutdown"));
    } catch (IllegalStateException e) {
      // The JVM is already exiting, and its hooks are running.
      leave();
    }
  }

  private static void leave() {
    NativeBridge.stopAll();
    NativeBridge.awaitIdle(DRAIN_MILLIS);
    NativeBridge.exitQuietly();
  }
}
