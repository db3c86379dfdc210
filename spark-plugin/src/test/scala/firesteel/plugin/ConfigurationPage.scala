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
         |${wrap(key.doc)}
         |
         |${wrap(s"- value: ${key.kind}", "  ")}
         |${wrap(s"- default: ${key.default}", "  ")}
         |- since: ${key.since}
         |""".stripMargin
    }
    s"""# Configuration
       |
       |<!-- Generated from firesteel.plugin.Configuration by:
       |     $Command -->
       |
       |Set these keys like Spark's own (`--conf key=value`, `spark-defaults.conf`, `SparkConf`). They apply to a whole
       |application; the settings of one fit, such as the learning rate, are params of the estimator. An unknown key that
       |starts with `spark.firesteel.` is an error, so a misspelled key is noticed.
       |
       |Set `spark.plugins=firesteel.plugin.FiresteelPlugin` to load and check the native library when the driver and
       |executors start, and to report metrics. Without it, the first fit or prediction loads the library. On JDK 24 and
       |later, add `--enable-native-access=ALL-UNNAMED` to `spark.driver.defaultJavaOptions` and
       |`spark.executor.defaultJavaOptions`; otherwise the JVM warns when the library is loaded.
       |
       |${keys.mkString("\n")}""".stripMargin
  }

  /** Breaks a paragraph into lines of at most 120 characters. */
  private def wrap(text: String, indent: String = ""): String =
    text
      .split(' ')
      .foldLeft(List.empty[String]) {
        case (line :: lines, word) if line.length + 1 + word.length <= Width =>
          s"$line $word" :: lines
        case (Nil, word) => List(word)
        case (lines, word) => s"$indent$word" :: lines
      }
      .reverse
      .mkString("\n")

  private val Width = 120

  /** Writes the page to a path, or to its place in the checkout, whose root is the working directory. */
  def main(arguments: Array[String]): Unit = {
    val target = arguments.headOption.fold(Location)(Path.of(_))
    Files.writeString(target, text)
    println(s"wrote $target")
  }
}
