package firesteel.bridge;

/** The Arrow stream failed while native code pulled it; the stream's owner keeps the cause. */
public final class StreamException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 16;

  /**
   * @param message the problem and its place
   */
  public StreamException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
