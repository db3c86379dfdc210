package firesteel.bridge;

/** The peer did not prove that it knows the fit's secret, or its certificate is not accepted. */
public final class AuthenticationException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 8;

  /**
   * @param message the problem and its place
   */
  public AuthenticationException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
