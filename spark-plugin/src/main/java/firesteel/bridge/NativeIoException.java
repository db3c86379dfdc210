package firesteel.bridge;

/** The operating system refused a file or a socket. */
public final class NativeIoException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 12;

  /**
   * @param message the problem and its place
   */
  public NativeIoException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
