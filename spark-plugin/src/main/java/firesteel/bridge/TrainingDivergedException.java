package firesteel.bridge;

/** The loss or a parameter became NaN or infinite. */
public final class TrainingDivergedException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 3;

  /**
   * @param message the problem and its place
   */
  public TrainingDivergedException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
