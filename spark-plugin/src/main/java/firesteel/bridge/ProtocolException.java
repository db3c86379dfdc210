package firesteel.bridge;

/** A frame broke the wire protocol, or came from another version of it. */
public final class ProtocolException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 9;

  /**
   * @param message the problem and its place
   */
  public ProtocolException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
