package firesteel.plugin;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The Spark versions that Firesteel supports. This is Java, so that the check also runs on a Spark with another Scala
 * library.
 */
final class SupportedSpark {
  static final String OLDEST = "4.0";
  static final String NEWEST = "4.3";

  private static final Logger log = LoggerFactory.getLogger(SupportedSpark.class);

  private SupportedSpark() {}

  /**
   * Logs a warning if the running Spark is newer than the tested ones.
   *
   * @throws IllegalStateException when it is older than the oldest supported one
   */
  static void check() {
    String warning = warning(org.apache.spark.package$.MODULE$.SPARK_VERSION());
    if (!warning.isEmpty()) log.warn(warning);
  }

  /**
   * Returns a warning about a version, empty for a supported one.
   *
   * @param version a version of Spark, such as {@code 4.1.0}
   * @throws IllegalStateException when it is older than the oldest supported one
   */
  static String warning(String version) {
    if (!version.matches("\\d+\\.\\d+(\\D.*)?")) {
      return "Firesteel supports Spark " + OLDEST + " to " + NEWEST + "; the version '" + version + "' is unknown to it";
    }
    String is = "Firesteel supports Spark " + OLDEST + " to " + NEWEST + ", but this is Spark " + version + "; ";
    if (compare(version, OLDEST) < 0) {
      throw new IllegalStateException(is + "run the application on a supported version");
    }
    return compare(version, NEWEST) > 0 ? is + "Firesteel has not been tested with it" : "";
  }

  /** Compares the major and minor numbers of two versions. */
  private static int compare(String left, String right) {
    String[] a = left.split("\\D+", 3);
    String[] b = right.split("\\D+", 3);
    int major = Integer.compare(Integer.parseInt(a[0]), Integer.parseInt(b[0]));
    return major != 0 ? major : Integer.compare(Integer.parseInt(a[1]), Integer.parseInt(b[1]));
  }
}
