package firesteel.e2e

import firesteel.classification.NetworkClassifier
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.sql.SparkSession

/** Trains on MNIST with one strategy after the other, and prints for each the accuracy, the ledger and the number of
  * executors.
  *
  * Arguments: `data`, `strategies` (comma-separated), and optionally `hidden`, `epochs`, `workers` (2; if empty the
  * fit's own), `batch`, `window` (else the strategies' own), `shrink` (the seconds to wait at most, after each strategy,
  * until an executor has been removed).
  */
object FitStrategies {
  def main(args: Array[String]): Unit = {
    val options = new Options(args)
    val spark = SparkSession
      .builder()
      .config("spark.extraListeners", classOf[ExecutorCount].getName)
      .getOrCreate()
    val data = options.text("data")
    val train = spark.read.parquet(s"$data/mnist-train.parquet").cache()
    val test = spark.read.parquet(s"$data/mnist-test.parquet").cache()
    val results = options.text("strategies").split(',').toSeq.map { strategy =>
      val classifier = new NetworkClassifier()
        .setNetwork(options.perceptron("300"))
        .setStrategy(strategy)
        .setBatchSize(options.int("batch", 64))
        .setEpochs(options.int("epochs", 1))
        .setSeed(1)
        .setShowProgress(false)
      if (options.text("workers", "2").nonEmpty) {
        classifier.setNumWorkers(options.int("workers", 2))
      }
      if (options.text("window", "").nonEmpty) classifier.setWindow(options.int("window", 4))
      println(s"FIT $strategy")
      val model = classifier.fit(train)
      val removed = ExecutorCount.removed
      val accuracy = new MulticlassClassificationEvaluator()
        .setMetricName("accuracy")
        .evaluate(model.transform(test))
      ExecutorCount.awaitRemoval(removed, options.int("shrink", 0))
      strategy -> Map[String, Any](
        "accuracy" -> accuracy,
        "rows" -> model.summary.epochs.map(_.rows),
        "losses" -> model.summary.losses,
        "seconds" -> model.summary.seconds,
        "commits" -> model.summary.commits,
        "ledger" -> model.summary.ledger
      )
    }
    Report.print(results :+ ("executors" -> ExecutorCount.report): _*)
    spark.stop()
  }
}
