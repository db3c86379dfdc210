package firesteel.bridge;

/** A newer attempt of the task holds this worker's lease. */
public final class FencedException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 5;

  /**
   * @param message the problem and its place
   */
  public FencedException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
