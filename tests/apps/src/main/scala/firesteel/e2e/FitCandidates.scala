package firesteel.e2e

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.sql.SparkSession

/** Trains on MNIST with several strategies in one fit and prints the result of each.
  *
  * Arguments: `data`, `strategies` (comma-separated), and optionally `epochs`.
  */
object FitCandidates {
  def main(args: Array[String]): Unit = {
    val options = new Options(args)
    val spark = SparkSession.builder().getOrCreate()
    val data = options.text("data")
    val classifier = new NetworkClassifier()
      .setNetwork(Network.sequential(Linear(300), ReLU, Linear(10), Softmax))
      .setNumWorkers(2)
      .setBatchSize(64)
      .setEpochs(options.int("epochs", 3))
      .setSeed(1)
      .setShowProgress(true)
    val strategies = options.text("strategies").split(',').toSeq
    val models = classifier.fit(
      spark.read.parquet(s"$data/mnist-train.parquet"),
      strategies.map(strategy => ParamMap(classifier.strategy -> strategy))
    )
    println("TRAINED")
    val test = spark.read.parquet(s"$data/mnist-test.parquet").cache()
    val accuracy = new MulticlassClassificationEvaluator().setMetricName("accuracy")
    val results: Seq[(String, Any)] = models.map { model =>
      model.getStrategy -> Map[String, Any](
        "accuracy" -> accuracy.evaluate(model.transform(test)),
        "ledger" -> model.summary.ledger
      )
    }
    Report.print(results: _*)
    spark.stop()
  }
}
