package firesteel.classification

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.sys.process.Process

import firesteel.bridge.TrainingDivergedException
import firesteel.network._
import firesteel.plugin.FiresteelPlugin
import org.apache.spark.firesteel.SparkState
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.BeforeAndAfterAll
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

/** A session that fits again and again, as a notebook or a server of Spark Connect does for days. */
final class ManyFitsSuite extends AnyFunSuite with BeforeAndAfterAll with Eventually {
  import ManyFitsSuite._

  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(60, Seconds))

  // With the plugin, which shards need. Adaptive queries leave threads in a pool of Spark's own.
  private lazy val spark: SparkSession = SparkSession
    .builder()
    .master("local[2]")
    .appName("many fits")
    .config("spark.plugins", classOf[FiresteelPlugin].getName)
    .config("spark.sql.adaptive.enabled", false)
    .config("spark.sql.shuffle.partitions", 3)
    .config("spark.ui.enabled", false)
    .getOrCreate()
  private lazy val data: DataFrame = Blobs.frame(spark)
  private lazy val folder: Path = Files.createTempDirectory("firesteel")
  private lazy val module: TorchScript = {
    val file = folder.resolve("module.pt").toString
    val script = "import sys, torch; from torch import nn; " +
      "torch.jit.script(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))).save(sys.argv[1])"
    val python = sys.env.getOrElse("FIRESTEEL_PYTHON", "build/venv-test/bin/python")
    // PyTorch brings its own libtorch.
    assert(Process(Seq(python, "-c", script, file), None, "LD_LIBRARY_PATH" -> "").! === 0)
    Network.torchScript(file)
  }

  override protected def afterAll(): Unit = spark.stop()

  private def classifier: NetworkClassifier = Blobs.classifier().setEpochs(1)

  private def strategy(name: String): NetworkClassifier = {
    val estimator = classifier.setStrategy(name)
    estimator.clear(estimator.window)
    estimator
  }

  /** One fit of each kind. */
  private val kinds: Seq[() => Any] = Seq(
    () => classifier.fit(data),
    () => strategy("averaging").fit(data),
    () => strategy("downpour").setNumWorkers(5).fit(data),
    () => strategy("single").setNumWorkers(1).fit(data),
    () => classifier.setNetwork(module).fit(data),
    () => intercept[TrainingDivergedException](diverging.fit(data)),
    () => intercept[IllegalArgumentException](classifier.setLabelCol("none").fit(data)),
    () =>
      classifier
        .setCheckpointDir(folder.resolve("checkpoints").toString)
        .setCheckpointCommits(1)
        .fit(data),
    // Over sockets.
    () =>
      classifier
        .setNetwork(Network.sequential(Linear(10000), ReLU, Linear(3)))
        .setServerShards(2)
        .fit(data),
    () => {
      val estimator = classifier
      val rates = Array(0.01, 0.02).map(rate => ParamMap(estimator.learningRate -> rate))
      estimator.fit(data, rates.toSeq).map(model => Blobs.accuracy(model.transform(data)))
    }
  )

  private def diverging: NetworkClassifier =
    classifier.setOptimizer("sgd").setLearningRate(1e30).setLoss("mse_loss")

  /** Counts the resources of the process and the application, after unreachable objects are collected. */
  private def held(): Held = {
    System.gc()
    Held(
      ProcessState.now(),
      SparkState.listeners(spark.sparkContext),
      SparkState.blocks().filter(_.startsWith("rdd_")),
      SparkState.files(),
      spark.sparkContext.getPersistentRDDs.size,
      spark.experimental.extraStrategies.size
    )
  }

  test("a hundred fits leave threads, ports, files, blocks, listeners and memory where they were") {
    kinds.foreach(_())
    val before = held()
    def run(fits: Range): Size = {
      fits.foreach(fit => kinds(fit % kinds.size)())
      eventually(assert(held() === before))
      Size.now()
    }
    val warm = run(0 until WarmUp)
    info(s"after $WarmUp fits $warm, after $Fits ${run(WarmUp until Fits)}")
    // Spark's cleaner removes what was broadcast some time after it has been collected.
    eventually {
      System.gc()
      val end = Size.now()
      assert(end.threads - warm.threads <= Noise)
      assert(end.descriptors - warm.descriptors <= Noise)
      assert(end.blocks - warm.blocks <= Noise)
      assert(end.nativeMegabytes - warm.nativeMegabytes < NoiseMegabytes)
    }
  }
}

object ManyFitsSuite {

  private val Fits = 100
  private val WarmUp = 40
  private val Noise = 8
  private val NoiseMegabytes = 25.0

  /** The resources whose counts must be the same before and after. */
  private final case class Held(
      process: ProcessState,
      listeners: Seq[String],
      cached: Seq[String],
      files: Seq[String],
      persistent: Int,
      strategies: Int
  )

  /** The resources whose counts may change a little: Spark and the JVM have their own pools. */
  private final case class Size(
      threads: Int,
      descriptors: Int,
      blocks: Int,
      nativeMegabytes: Double
  )

  private object Size {
    def now(): Size = Size(
      entries("/proc/self/task"),
      entries("/proc/self/fd"),
      SparkState.blocks().size,
      NativeMemory.megabytes()
    )

    private def entries(folder: String): Int = {
      val all = Files.list(Path.of(folder))
      try all.iterator().asScala.size
      finally all.close()
    }
  }
}
