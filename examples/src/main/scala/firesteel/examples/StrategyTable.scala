package firesteel.examples

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths, StandardOpenOption}

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.param.Param
import org.apache.spark.sql.{DataFrame, SparkSession}

/** Measures what each strategy learns. Trains the perceptron 784-1000-250-10 of dist-keras's notebooks on MNIST with every
  * strategy, numbers of workers and windows, at default settings, and appends a line for each to a CSV file. Lines that the
  * file has already are not trained again.
  *
  * Arguments, as `name=value`: `data` (the folder of `mnist-train.parquet` and `mnist-test.parquet`), `out` (the CSV file),
  * and optionally `strategies`, `workers` and `windows` (comma-separated), `batch`, `epochs`, `rows` (as many training rows),
  * `settings` (further parameters of the estimator, such as `serverScale=2.0;overlap=false`).
  */
object StrategyTable {
  private val Header =
    "strategy,workers,window,batch,epochs,settings,accuracy,loss,seconds,staleness"

  /** The fields of a line that identify its run. */
  private val KeyFields = 6

  /** Strategies without a window of their own. */
  private val Windowless = Set("single", "averaging", "ensemble", "sync", "auto")

  private val Strategies =
    Seq("single", "averaging", "ensemble", "downpour", "adag", "agn-adaptive", "dynsgd") ++
      Seq("aeasgd", "eamsgd", "easgd", "sync", "local-sgd", "diloco", "auto")

  private final case class Run(
      strategy: String,
      workers: Int,
      window: Int,
      batch: Int,
      epochs: Int,
      settings: String
  ) {
    def key: String = s"$strategy,$workers,$window,$batch,$epochs,$settings"
  }

  def main(args: Array[String]): Unit = {
    val options =
      args.map(_.split("=", 2)).collect { case Array(name, value) => name -> value }.toMap
    val spark = SparkSession.builder().appName("Strategies").getOrCreate()
    try table(spark, options)
    finally spark.stop()
  }

  private def table(spark: SparkSession, options: Map[String, String]): Unit = {
    val data = options.getOrElse("data", "examples/data")
    val out = Paths.get(options.getOrElse("out", "strategies.csv"))
    val rows = options.get("rows").map(_.toInt)
    val train = spark.read.parquet(s"$data/mnist-train.parquet")
    val some = rows.fold(train)(train.orderBy("features").limit(_)).cache()
    val test = spark.read.parquet(s"$data/mnist-test.parquet").cache()
    val done = finished(out)
    for (run <- runs(options) if !done(run.key)) {
      val line =
        try trained(run, some, test)
        catch { case NonFatal(error) => s"${run.key},,,,${error.getClass.getSimpleName}" }
      append(out, line)
      println(line)
    }
  }

  private def runs(options: Map[String, String]): Seq[Run] = {
    def numbers(name: String, default: String): Seq[Int] =
      options.getOrElse(name, default).split(',').map(_.toInt).toSeq
    val batch = options.getOrElse("batch", "32").toInt
    val epochs = options.getOrElse("epochs", "2").toInt
    val settings = options.getOrElse("settings", "")
    for {
      strategy <- options.get("strategies").fold(Strategies)(_.split(',').toSeq)
      workers <- if (strategy == "single") Seq(1) else numbers("workers", "1,2,4,8,16")
      window <- if (Windowless(strategy)) Seq(0) else numbers("windows", "1,5,15,50")
    } yield Run(strategy, workers, window, batch, epochs, settings)
  }

  private def trained(run: Run, train: DataFrame, test: DataFrame): String = {
    val classifier = new NetworkClassifier()
      .setNetwork(Network.sequential(Linear(1000), ReLU, Linear(250), ReLU, Linear(10), Softmax))
      .setStrategy(run.strategy)
      .setNumWorkers(run.workers)
      .setBatchSize(run.batch)
      .setEpochs(run.epochs)
      .setSeed(1)
      .setShowProgress(false)
    if (run.window > 0) classifier.setWindow(run.window)
    run.settings.split(';').filter(_.nonEmpty).map(_.split("=", 2)).foreach {
      case Array(name, value) => setDecoded(classifier, classifier.getParam(name), value)
      case other =>
        throw new IllegalArgumentException(s"settings: '${other.mkString}' is no name=value")
    }
    val model = classifier.fit(train)
    val accuracy = new MulticlassClassificationEvaluator()
      .setMetricName("accuracy")
      .evaluate(model.transform(test))
    val summary = model.summary
    f"${run.key},$accuracy%.4f,${summary.losses.last}%.4f,${summary.seconds}%.1f,${summary.stalenessMean}%.2f"
  }

  private def setDecoded[T](classifier: NetworkClassifier, param: Param[T], value: String): Unit = {
    val _ = classifier.set(param, param.jsonDecode(value))
  }

  private def finished(out: Path): Set[String] =
    if (Files.exists(out)) {
      Files.readAllLines(out, UTF_8).asScala.map(_.split(',').take(KeyFields).mkString(",")).toSet
    } else {
      append(out, Header)
      Set.empty
    }

  private def append(out: Path, line: String): Unit = {
    Files.writeString(out, line + "\n", UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND)
    ()
  }
}
