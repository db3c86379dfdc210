package firesteel.bridge;

/** No port of the allowed range could be bound. */
public final class PortInUseException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 10;

  /**
   * @param message the problem and its place
   */
  public PortInUseException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
