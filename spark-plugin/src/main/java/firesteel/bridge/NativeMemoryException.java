package firesteel.bridge;

/** A memory limit would be exceeded. */
public final class NativeMemoryException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 14;

  /**
   * @param message the problem and its place
   */
  public NativeMemoryException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
