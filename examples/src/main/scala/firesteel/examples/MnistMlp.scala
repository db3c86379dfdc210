package firesteel.examples

import java.nio.file.Files

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.sql.SparkSession

/** Trains the perceptron 784-500-300-10 on MNIST and prints its accuracy on the test images.
  *
  * Arguments: the folder of `mnist-train.parquet` and `mnist-test.parquet`, and where to save the model (by default a new
  * folder for temporary files).
  */
object MnistMlp {
  def main(args: Array[String]): Unit = {
    val data = args.headOption.getOrElse("examples/data")
    val modelPath = args
      .lift(1)
      .getOrElse(Files.createTempDirectory("firesteel-mnist").resolve("model").toUri.toString)
    val spark = SparkSession.builder().appName("MNIST on Firesteel").getOrCreate()
    try run(spark, data, modelPath)
    finally spark.stop()
  }

  private def run(spark: SparkSession, data: String, modelPath: String): Unit = {
    val train = spark.read.parquet(s"$data/mnist-train.parquet")
    val test = spark.read.parquet(s"$data/mnist-test.parquet")
    val classifier = new NetworkClassifier()
      .setNetwork(Network.sequential(Linear(500), ReLU, Linear(300), ReLU, Linear(10), Softmax))
      .setEpochs(5)
      .setSchedule("cosine")
      .setScheduleInterval("step")
      .setSeed(1)
      .setShowProgress(true)
    val start = System.nanoTime()
    val model = classifier.fit(train)
    val seconds = (System.nanoTime() - start) / 1e9
    val accuracy = new MulticlassClassificationEvaluator()
      .setMetricName("accuracy")
      .evaluate(model.transform(test))
    model.write.overwrite().save(modelPath)
    println(f"test accuracy ${100 * accuracy}%.2f %%")
    println(
      f"trained ${60000L * classifier.getEpochs / seconds}%,.0f rows/s, ${seconds}%.1f s for ${classifier.getEpochs} epochs"
    )
    println(s"model saved to $modelPath")
  }
}
