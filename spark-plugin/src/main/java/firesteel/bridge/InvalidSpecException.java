package firesteel.bridge;

/** A network, strategy, loss, optimizer or option is unknown or does not fit. */
public final class InvalidSpecException extends IllegalArgumentException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 1;

  /**
   * @param message the problem and its place
   */
  public InvalidSpecException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
