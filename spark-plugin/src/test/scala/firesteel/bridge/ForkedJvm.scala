package firesteel.bridge

import java.nio.charset.StandardCharsets
import java.nio.file.{Files, Path}
import java.util.concurrent.TimeUnit

import scala.jdk.CollectionConverters._

/** A separate JVM with the class path of the tests, for tests that end the JVM or need several. */
final class ForkedJvm private (val process: Process, output: Path) {

  /** The output of the process so far. */
  def outputSoFar: String = Files.readString(output, StandardCharsets.UTF_8)

  /** Waits for its end, and kills it after a time. */
  def finish(seconds: Long): ForkedJvm.Outcome =
    try {
      if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor()
        throw new AssertionError(s"still running after $seconds s:\n$outputSoFar")
      }
      ForkedJvm.Outcome(process.exitValue(), outputSoFar)
    } finally Files.delete(output)
}

object ForkedJvm {
  final case class Outcome(status: Int, output: String)

  /** JVM options for Arrow and for a quick start. */
  private val options = Seq(
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--enable-native-access=ALL-UNNAMED",
    "-XX:TieredStopAtLevel=1",
    "-Xmx512m"
  )

  /** Starts `main` of a class. */
  def start(mainClass: String, arguments: String*): ForkedJvm = startIn(None, mainClass, arguments)

  /** Starts `main` of a class in a folder, where a crash would leave its report. */
  def startIn(folder: Option[Path], mainClass: String, arguments: Seq[String]): ForkedJvm = {
    val output = Files.createTempFile("firesteel-forked-", ".txt")
    val java = Path.of(System.getProperty("java.home"), "bin", "java").toString
    val command = Seq(java) ++ options ++
      Seq("-cp", System.getProperty("java.class.path"), mainClass) ++ arguments
    val builder = new ProcessBuilder(command.asJava)
      .redirectErrorStream(true)
      .redirectOutput(output.toFile)
    folder.foreach(path => builder.directory(path.toFile))
    new ForkedJvm(builder.start(), output)
  }
}
