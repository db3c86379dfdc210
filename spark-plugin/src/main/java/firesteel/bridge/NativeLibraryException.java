package firesteel.bridge;

/**
 * The native library does not run here: an unsupported operating system or processor, a C library that is too old, a
 * jar that was built without it, or a folder that cannot be written. A missing or wrong libtorch is a
 * {@link LibtorchException}.
 */
public final class NativeLibraryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message the problem and its solution
   */
  public NativeLibraryException(String message) {
    super(message);
  }

  /**
   * @param message the problem and its solution
   * @param cause the error of the operating system or the JVM
   */
  public NativeLibraryException(String message, Throwable cause) {
    super(message, cause);
  }
}
