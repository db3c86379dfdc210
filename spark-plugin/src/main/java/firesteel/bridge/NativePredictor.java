package firesteel.bridge;

import java.util.function.Supplier;

/** The predictor of one task, for the task's thread. Weights are shared by the predictors of a process. */
public final class NativePredictor implements AutoCloseable {
  private static final long WEIGHTS_WANTED = 0;

  private final Handle handle;

  private NativePredictor(long id) {
    this.handle = new Handle(id, "predictor", NativeBridge::predictorClose);
  }

  /**
   * Opens a predictor.
   *
   * @param spec the {@code PredictorSpec} as JSON; its {@code weights} is the hash of the weights
   * @param weights returns the weights as safetensors; called only if this process does not have them yet
   * @return a predictor
   */
  public static NativePredictor open(String spec, Supplier<byte[]> weights) {
    return open(spec, () -> null, weights);
  }

  /**
   * Opens a predictor, as {@link #open(String, Supplier)}.
   *
   * @param spec the {@code PredictorSpec} as JSON
   * @param module returns the archive of a TorchScript network, or null; called when the weights are
   * @param weights returns the weights as safetensors
   * @return a predictor
   */
  public static NativePredictor open(
      String spec, Supplier<byte[]> module, Supplier<byte[]> weights) {
    NativeLibrary.ensureLoaded();
    long id = NativeBridge.predictorOpen(spec, null, null);
    if (id == WEIGHTS_WANTED) {
      id = NativeBridge.predictorOpen(spec, module.get(), weights.get());
    }
    return new NativePredictor(id);
  }

  /**
   * Predicts one batch.
   *
   * @param inputArray the address of an exported {@code ArrowArray} of the spec's columns, taken by ownership
   * @param inputSchema the address of its exported {@code ArrowSchema}, taken by ownership
   * @param outputArray the address of an empty {@code ArrowArray}, filled with as many rows
   * @param outputSchema the address of an empty {@code ArrowSchema}, filled with the outputs' columns
   */
  public void run(long inputArray, long inputSchema, long outputArray, long outputSchema) {
    NativeBridge.predictorRun(handle.get(), inputArray, inputSchema, outputArray, outputSchema);
  }

  /** Frees the predictor, and the weights if it was the last one to use them; idempotent. */
  @Override
  public void close() {
    handle.close();
  }
}
