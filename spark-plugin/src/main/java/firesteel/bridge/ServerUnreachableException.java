package firesteel.bridge;

/** The parameter server did not answer within its timeout. */
public final class ServerUnreachableException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 7;

  /**
   * @param message the problem and its place
   */
  public ServerUnreachableException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
