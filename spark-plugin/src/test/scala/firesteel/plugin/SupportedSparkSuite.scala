package firesteel.plugin

import org.apache.spark.SPARK_VERSION
import org.scalatest.funsuite.AnyFunSuite

class SupportedSparkSuite extends AnyFunSuite {

  test("every release of a supported version passes without a warning") {
    for (version <- Seq("4.0.0", "4.1.4", "4.2.1", "4.3.0", "4.3.7-SNAPSHOT", SPARK_VERSION))
      assert(SupportedSpark.warning(version) == "", version)
  }

  test("an older version is rejected with the supported ones") {
    for (version <- Seq("3.5.9", "2.4.8")) {
      val error = intercept[IllegalStateException](SupportedSpark.warning(version))
      assert(error.getMessage.contains(s"supports Spark 4.0 to 4.3, but this is Spark $version"))
    }
  }

  test("a newer version gives a warning") {
    for (version <- Seq("4.4.0", "4.10.1", "5.0.0-preview1"))
      assert(SupportedSpark.warning(version).contains(s"this is Spark $version"))
  }

  test("a version that is no number gives a warning and no error") {
    for (version <- Seq("", "4", "v4.1.0", "vendor"))
      assert(SupportedSpark.warning(version).contains(s"the version '$version' is unknown"))
  }
}
