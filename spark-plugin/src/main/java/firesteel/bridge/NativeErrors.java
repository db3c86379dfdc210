package firesteel.bridge;

/** The one table from the stable error codes of {@code native/core} to exception classes. */
public final class NativeErrors {
  private NativeErrors() {}

  /**
   * Returns the exception for a failure in native code; native code calls this method by name.
   *
   * @param code the stable code; one that is unknown to this version becomes an {@link InternalException}
   * @param message the problem and its place
   * @return the exception, a {@link NativeError}
   */
  public static RuntimeException create(int code, String message) {
    return switch (code) {
      case InvalidSpecException.CODE -> new InvalidSpecException(message);
      case InvalidDataException.CODE -> new InvalidDataException(message);
      case TrainingDivergedException.CODE -> new TrainingDivergedException(message);
      case UntrainedModelException.CODE -> new UntrainedModelException(message);
      case FencedException.CODE -> new FencedException(message);
      case TrainingCancelledException.CODE -> new TrainingCancelledException(message);
      case ServerUnreachableException.CODE -> new ServerUnreachableException(message);
      case AuthenticationException.CODE -> new AuthenticationException(message);
      case ProtocolException.CODE -> new ProtocolException(message);
      case PortInUseException.CODE -> new PortInUseException(message);
      case LibtorchException.CODE -> new LibtorchException(message);
      case NativeIoException.CODE -> new NativeIoException(message);
      case NativePanicException.CODE -> new NativePanicException(message);
      case NativeMemoryException.CODE -> new NativeMemoryException(message);
      case StartTimeoutException.CODE -> new StartTimeoutException(message);
      case StreamException.CODE -> new StreamException(message);
      case InternalException.CODE -> new InternalException(message);
      case CheckpointException.CODE -> new CheckpointException(message);
      default -> new InternalException("unknown error code " + code + ": " + message);
    };
  }

  /**
   * Returns the stable code of a failure that has one.
   *
   * @param error any failure
   * @return its code, or {@link InternalException#CODE}
   */
  public static int codeOf(Throwable error) {
    return error instanceof NativeError coded ? coded.code() : InternalException.CODE;
  }
}
