package firesteel.bridge;

/** A Rust panic, with its text: always a defect of Firesteel. */
public final class NativePanicException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 13;

  /**
   * @param message the problem and its place
   */
  public NativePanicException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
