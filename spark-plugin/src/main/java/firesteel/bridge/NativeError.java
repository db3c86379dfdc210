package firesteel.bridge;

/**
 * The interface of all exceptions for failures in native code. Each kind of failure has its own class, so callers
 * distinguish them by class or by code, never by the text.
 */
public interface NativeError {
  /**
   * Returns the stable code of this kind of failure, the same number as in {@code native/core}.
   *
   * @return the code, from 1
   */
  int code();
}
