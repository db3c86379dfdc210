package firesteel.bridge;

import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.slf4j.event.Level;

/** The log of native code, which calls these methods by name. Its loggers are below {@code firesteel.native}. */
final class NativeLog {
  private static final String ROOT = "firesteel.native";

  private NativeLog() {}

  /** Returns the most verbose level of the log: 0 for none, 1 for errors, up to 5 for traces. */
  static int level() {
    Logger root = LoggerFactory.getLogger(ROOT);
    int number = 5;
    while (number > 0 && !root.isEnabledForLevel(level(number))) {
      number--;
    }
    return number;
  }

  /**
   * Logs one event.
   *
   * @param level the number of its level, as in {@link #level()}
   * @param logger the name of its logger
   * @param message its text
   * @param context alternating keys and values for the MDC
   */
  static void log(int level, String logger, String message, String[] context) {
    Logger target = LoggerFactory.getLogger(logger);
    Level severity = level(level);
    if (!target.isEnabledForLevel(severity)) {
      return;
    }
    Map<String, String> before = MDC.getCopyOfContextMap();
    try {
      for (int i = 0; i + 1 < context.length; i += 2) {
        MDC.put(context[i], context[i + 1]);
      }
      target.atLevel(severity).log(message);
    } finally {
      MDC.setContextMap(before == null ? Map.of() : before);
    }
  }

  private static Level level(int number) {
    return switch (number) {
      case 1 -> Level.ERROR;
      case 2 -> Level.WARN;
      case 3 -> Level.INFO;
      case 4 -> Level.DEBUG;
      default -> Level.TRACE;
    };
  }
}
