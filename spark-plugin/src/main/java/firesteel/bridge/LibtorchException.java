package firesteel.bridge;

/** libtorch failed, is missing or has another version. */
public final class LibtorchException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 11;

  /**
   * @param message the problem and its place
   */
  public LibtorchException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
