package firesteel.examples

import java.nio.file.Files

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.sql.SparkSession

/** Trains a convolutional network on MNIST, that of `examples/mnist_convnet.py`, and prints its accuracy on the test images.
  *
  * Arguments: the folder of `mnist-train.parquet` and `mnist-test.parquet`, where to save the model (by default a new
  * folder for temporary files), the share of the training images to train on, and the number of epochs.
  */
object MnistConvnet {
  private val network = Network
    .sequential(
      Conv2d(16, 5, padding = Padding.Same),
      ReLU,
      MaxPool2d(2),
      Conv2d(32, 5),
      ReLU,
      MaxPool2d(2),
      Flatten,
      Linear(128),
      ReLU,
      Dropout(0.3),
      Linear(10),
      Softmax
    )
    .withInputShape(1, 28, 28) // a row has the 784 pixels of an image one after the other

  def main(args: Array[String]): Unit = {
    val data = args.headOption.getOrElse("examples/data")
    val modelPath = args
      .lift(1)
      .getOrElse(Files.createTempDirectory("firesteel-mnist").resolve("model").toUri.toString)
    val share = args.lift(2).fold(1.0)(_.toDouble)
    val epochs = args.lift(3).fold(5)(_.toInt)
    val spark = SparkSession.builder().appName("MNIST, convnet").getOrCreate()
    try run(spark, data, modelPath, share, epochs)
    finally spark.stop()
  }

  private def run(
      spark: SparkSession,
      data: String,
      modelPath: String,
      share: Double,
      epochs: Int
  ): Unit = {
    val train = spark.read.parquet(s"$data/mnist-train.parquet").sample(share, 1L)
    val test = spark.read.parquet(s"$data/mnist-test.parquet")
    val model = new NetworkClassifier()
      .setNetwork(network)
      .setBatchSize(64)
      .setEpochs(epochs)
      .setLearningRate(2e-3)
      .setSchedule("cosine")
      .setSeed(1)
      .setShowProgress(true)
      .fit(train)
    val accuracy = new MulticlassClassificationEvaluator()
      .setMetricName("accuracy")
      .evaluate(model.transform(test))
    model.write.overwrite().save(modelPath)
    println(f"test accuracy ${100 * accuracy}%.2f %%")
    println(f"trained ${model.summary.rowsPerSecond}%,.0f rows/s, ${model.summary.seconds}%.1f s")
    println(s"model saved to $modelPath")
  }
}
