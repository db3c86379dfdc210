package firesteel.bridge;

/** A value in the user's data cannot be trained on or predicted from. */
public final class InvalidDataException extends IllegalArgumentException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 2;

  /**
   * @param message the problem and its place
   */
  public InvalidDataException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
