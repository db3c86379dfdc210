package firesteel.bridge;

/**
 * What every exception that stands for a failure in native code implements. The classes differ by kind of failure, so
 * callers decide by class or by code, never by the text.
 */
public interface NativeError {
  /**
   * The stable code of this kind of failure, the same number as in {@code native/core}.
   *
   * @return the code, from 1
   */
  int code();
}
