package firesteel.bridge;

/** Nothing was trained: there were no rows or no commits. */
public final class UntrainedModelException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 4;

  /**
   * @param message the problem and its place
   */
  public UntrainedModelException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
