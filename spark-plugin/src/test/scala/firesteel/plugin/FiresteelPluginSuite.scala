package firesteel.plugin

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Using

import firesteel.bridge.{LibtorchException, NativeLibrary, TemporaryFolder}
import org.scalatest.funsuite.AnyFunSuite

import org.apache.spark.{SparkConf, SparkContext}

class FiresteelPluginSuite extends AnyFunSuite {

  private def conf(settings: (String, String)*): SparkConf =
    new SparkConf()
      .setMaster("local[2]")
      .setAppName("FiresteelPluginSuite")
      .set("spark.plugins", classOf[FiresteelPlugin].getName)
      .setAll(settings)

  private def withContext[A](settings: (String, String)*)(body: SparkContext => A): A = {
    val context = new SparkContext(conf(settings: _*))
    try body(context)
    finally context.stop()
  }

  test("the native library is loaded when the context starts, and again in a second context") {
    withContext()(_ => assert(NativeLibrary.isLoaded))
    withContext() { context =>
      assert(NativeLibrary.isLoaded)
      assert(context.parallelize(1 to 4, 2).sum() == 10)
    }
  }

  test("every counter reaches Spark's metric system") {
    TemporaryFolder.use { folder =>
      val csv = "spark.metrics.conf.*.sink.csv"
      withContext(
        s"$csv.class" -> "org.apache.spark.metrics.sink.CsvSink",
        s"$csv.directory" -> folder.toString,
        s"$csv.period" -> "1"
      )(_.parallelize(1 to 4, 2).count())
      val files =
        Using.resource(Files.list(folder))(_.iterator.asScala.map(_.getFileName.toString).toSeq)
      val counters = Seq("commits", "pulls", "bytesSent", "bytesReceived", "rows") ++
        Seq("stalenessMean", "stalenessMax", "compressionRatio", "compressionError")
      counters.foreach { name =>
        assert(files.exists(_.endsWith(s"FiresteelPlugin.$name.csv")), files.mkString("\n"))
      }
    }
  }

  test(
    "a wrong configuration ends the start of the context with its message, and leaves no context"
  ) {
    val error = intercept[IllegalArgumentException] {
      withContext("spark.firesteel.server.prot" -> "1")(_ => ())
    }
    assert(error.getMessage.contains("unknown configuration key 'spark.firesteel.server.prot'"))
    withContext()(context => assert(!context.isStopped))
  }

  test("the options of the loader come from the configuration") {
    val options = NativeSetup.options(
      conf(
        "spark.firesteel.libtorch.path" -> "/opt/torch",
        "spark.firesteel.native.directory" -> "/opt/natives",
        "spark.pyspark.python" -> "/opt/python"
      ),
      gpu = true
    )
    assert(options.libtorch.get == Path.of("/opt/torch"))
    assert(options.directory.get == Path.of("/opt/natives"))
    assert(options.gpu)
    assert(options.environment.get("PYSPARK_PYTHON") == "/opt/python")
    val defaults = NativeSetup.options(conf(), gpu = false)
    assert(!defaults.libtorch.isPresent && !defaults.directory.isPresent && !defaults.gpu)
  }

  test("a library that cannot be loaded fails with its own message, not as a missing class") {
    TemporaryFolder.use { folder =>
      val wrong = TemporaryFolder.libtorch(folder.resolve("torch"), "2.11.0")
      val outcome = firesteel.bridge.ForkedJvm
        .start("firesteel.plugin.StartContextMain", wrong.toString)
        .finish(120)
      assert(outcome.status == 1, outcome.output)
      assert(
        outcome.output.contains(
          s"${classOf[LibtorchException].getName}: spark.firesteel.libtorch.path"
        )
      )
      assert(
        outcome.output.contains(
          "is libtorch 2.11.0, but this Firesteel was built with libtorch 2.13.0"
        )
      )
    }
  }
}

/** Starts a context with the plugin in a JVM that has no native library yet. */
object StartContextMain {
  def main(arguments: Array[String]): Unit = {
    val conf = new SparkConf()
      .setMaster("local[1]")
      .setAppName("StartContextMain")
      .set("spark.plugins", classOf[FiresteelPlugin].getName)
      .set("spark.firesteel.libtorch.path", arguments.head)
    new SparkContext(conf).stop()
  }
}
