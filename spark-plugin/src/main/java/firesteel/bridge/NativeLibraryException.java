package firesteel.bridge;

/**
 * The native library cannot be used here: an unsupported operating system or processor, a C library that is too old, a
 * jar that was built without it, or a folder that cannot be written. A missing or wrong libtorch is a
 * {@link LibtorchException}.
 */
public final class NativeLibraryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message what is wrong, and what to do
   */
  public NativeLibraryException(String message) {
    super(message);
  }

  /**
   * @param message what is wrong, and what to do
   * @param cause what the operating system or the JVM said
   */
  public NativeLibraryException(String message, Throwable cause) {
    super(message, cause);
  }
}
