package firesteel.bridge;

/** The native library of this process. */
public final class NativeRuntime {
  private NativeRuntime() {}

  /**
   * Describes the loaded library; {@link NativeLibrary#load} returns its origin.
   *
   * @return JSON with {@code version}, {@code glibc}, {@code threads} and {@code cuda}
   */
  public static String describe() {
    NativeLibrary.ensureLoaded();
    return NativeBridge.describe();
  }

  /**
   * Returns the counters of this process. Does not load the library: before it is loaded all are 0.
   *
   * @return a consistent enough reading for a metrics page
   */
  public static NativeMetrics metrics() {
    return NativeLibrary.isLoaded() ? NativeMetrics.of(NativeBridge.metrics()) : NativeMetrics.NONE;
  }

  /**
   * Infers a network's shapes without training anything.
   *
   * @param request JSON {@code {"network": NetworkSpec, "inputs": [{"name": "x", "shape": [784]}]}}, shapes of one row
   * @return JSON with {@code layers}, {@code inputs}, {@code outputs}, {@code parameters}, {@code weightBytes} and
   *     {@code layoutHash}
   * @throws InvalidSpecException naming the layer that does not fit
   */
  public static String inspect(String request) {
    return inspect(request, null);
  }

  /**
   * Infers a network's shapes, as {@link #inspect(String)}; a module is run on two rows of zeros.
   *
   * @param request the network and the shapes of one row of its inputs
   * @param module the archive of a network in TorchScript, or null
   * @return JSON, whose {@code layers} are empty for a module
   */
  public static String inspect(String request, byte[] module) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.inspect(request, module);
  }

  /**
   * Estimates the memory of a fit, without the part that depends on its data.
   *
   * @param request the {@code FootprintSpec} as JSON: the size of the network, strategy, optimizer, controls and
   *     workers
   * @return JSON with {@code models} and, in bytes, {@code weights}, {@code checkpoint}, {@code server}, {@code task}
   *     and {@code worker}
   * @throws InvalidSpecException naming the strategy or the option that does not fit
   */
  public static String footprint(String request) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.footprint(request);
  }

  /**
   * Checks initial weights of a network.
   *
   * @param request the request of {@link #inspect(String)}
   * @param module the archive of a network in TorchScript, or null
   * @param weights a safetensors file
   * @throws InvalidDataException naming the tensor that is missing, unknown, of another shape or type, or not finite
   */
  public static void checkWeights(String request, byte[] module, byte[] weights) {
    NativeLibrary.ensureLoaded();
    NativeBridge.checkWeights(request, module, weights);
  }

  /**
   * Returns weights of a network that are all 0.
   *
   * @param request the request of {@link #inspect(String)}
   * @param module the archive of a network in TorchScript, or null
   * @return a safetensors file
   */
  public static byte[] zeroWeights(String request, byte[] module) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.zeroWeights(request, module);
  }

  /**
   * Counts and hashes the rows of a stream, which is pulled to its end and not kept.
   *
   * @param spec the {@code DataSpec} as JSON
   * @param arrowStream the address of an exported {@code ArrowArrayStream}, which this call takes over
   * @return JSON with {@code rows} and {@code content}; those of the parts of a whole add up modulo 2^64
   * @throws InvalidDataException naming the column and row of a value that cannot be trained on
   */
  public static String digest(String spec, long arrowStream) {
    NativeLibrary.ensureLoaded();
    return NativeBridge.dataDigest(spec, arrowStream);
  }

  /**
   * Raises a failure inside native code, to check the errors of a deployment. The code of a panic
   * is raised by a real one.
   *
   * @param code a code of {@link NativeErrors}
   * @param message the text of the error
   */
  public static void selfTest(int code, String message) {
    NativeLibrary.ensureLoaded();
    NativeBridge.selfTest(code, message);
  }

  /**
   * Cancels every worker, closes every server and ends the I/O threads of this process. What is opened afterwards
   * starts them again, so that a later SparkContext in the same JVM works. Does nothing before the library is loaded.
   */
  public static void release() {
    if (NativeLibrary.isLoaded()) {
      NativeBridge.release();
    }
  }
}
