package firesteel.bridge;

/** An invariant of Firesteel does not hold, such as the use of a closed handle. */
public final class InternalException extends RuntimeException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 17;

  /**
   * @param message the problem and its place
   */
  public InternalException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
