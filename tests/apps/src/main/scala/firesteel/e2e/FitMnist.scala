package firesteel.e2e

import firesteel.classification.NetworkClassifier
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.sql.SparkSession

/** Trains on MNIST and prints the accuracy and the ledger of the fit.
  *
  * Arguments: `data`, and optionally `hidden`, `epochs`, `workers`, `strategy`, `window`, `batch`, `schedule`, `shards`,
  * `model` (where to save it), `checkpoints` (a folder, in which one is written every half second). An empty `window` is the strategy's own, and
  * empty `workers` are the fit's.
  */
object FitMnist {
  def main(args: Array[String]): Unit = {
    val options = new Options(args)
    val spark = SparkSession.builder().getOrCreate()
    val data = options.text("data")
    val classifier = new NetworkClassifier()
      .setNetwork(options.perceptron("256"))
      .setStrategy(options.text("strategy", "adag"))
      .setBatchSize(options.int("batch", 64))
      .setEpochs(options.int("epochs", 3))
      .setServerShards(options.int("shards", 1))
      .setLearningRate(2e-3)
      .setSeed(1)
      .setShowProgress(true)
    if (options.text("workers", "2").nonEmpty) {
      classifier.setNumWorkers(options.int("workers", 2))
    }
    if (options.text("window", "4").nonEmpty) classifier.setWindow(options.int("window", 4))
    if (options.text("schedule", "").nonEmpty) classifier.setSchedule(options.text("schedule"))
    if (options.text("checkpoints", "").nonEmpty) {
      classifier.setCheckpointDir(options.text("checkpoints")).setCheckpointSeconds(0.5)
    }
    val model = classifier.fit(spark.read.parquet(s"$data/mnist-train.parquet"))
    println("TRAINED")
    if (options.text("model", "").nonEmpty) model.write.overwrite().save(options.text("model"))
    val scored = model.transform(spark.read.parquet(s"$data/mnist-test.parquet"))
    val accuracy =
      new MulticlassClassificationEvaluator().setMetricName("accuracy").evaluate(scored)
    val summary = model.summary
    Report.print(
      "accuracy" -> accuracy,
      "losses" -> summary.losses,
      "workers" -> summary.workers,
      "tasks" -> summary.tasks,
      "commits" -> summary.commits,
      "rowsTrained" -> summary.rowsTrained,
      "seconds" -> summary.seconds,
      "ledger" -> summary.ledger,
      "warnings" -> summary.warnings,
      "decisions" -> summary.decisions,
      "spark" -> spark.version
    )
    spark.stop()
  }
}
