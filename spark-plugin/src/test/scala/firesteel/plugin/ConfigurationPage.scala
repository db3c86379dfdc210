package firesteel.plugin

import java.nio.file.{Files, Path}

/** The page of the configuration keys in `docs`, made from their declarations. */
object ConfigurationPage {
  val Location: Path = Path.of("docs", "configuration.md")
  val Command: String = "scripts/sbt 'firesteel/Test/runMain firesteel.plugin.ConfigurationPage'"

  def text: String = {
    val keys = Configuration.all.map { key =>
      s"""## `${key.name}`
         |
         |${key.doc}
         |
         |- value: ${key.kind}
         |- default: ${key.default}
         |- since: ${key.since}
         |""".stripMargin
    }
    s"""# Configuration
       |
       |<!-- Generated from firesteel.plugin.Configuration by: $Command -->
       |
       |These keys are given like Spark's own (`--conf key=value`, `spark-defaults.conf`, `SparkConf`) and hold for an
       |application. What belongs to one fit, such as the learning rate, is a param of the estimator. An unknown key that starts
       |with `spark.firesteel.` is an error, so that a misspelt one does not go unnoticed.
       |
       |Set `spark.plugins=firesteel.plugin.FiresteelPlugin` to load and check the native library when driver and executors start
       |and to report metrics; without it the library is loaded at the first fit or prediction. On JDK 24 and later, add
       |`--enable-native-access=ALL-UNNAMED` to `spark.driver.defaultJavaOptions` and `spark.executor.defaultJavaOptions`, or the
       |JVM warns when the library is loaded.
       |
       |${keys.mkString("\n")}""".stripMargin
  }

  /** Writes the page to a path, or to its place in the checkout, whose root is the working directory. */
  def main(arguments: Array[String]): Unit = {
    val target = arguments.headOption.fold(Location)(Path.of(_))
    Files.writeString(target, text)
    println(s"wrote $target")
  }
}
