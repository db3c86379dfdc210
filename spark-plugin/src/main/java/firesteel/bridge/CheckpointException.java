package firesteel.bridge;

/** A checkpoint is damaged, of another fit, or in use by another writer. */
public final class CheckpointException extends IllegalArgumentException implements NativeError {
  private static final long serialVersionUID = 1L;

  /** The stable code of this failure. */
  public static final int CODE = 18;

  /**
   * @param message the problem and its place
   */
  public CheckpointException(String message) {
    super(message);
  }

  @Override
  public int code() {
    return CODE;
  }
}
