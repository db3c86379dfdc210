package firesteel.classification

import scala.util.Random

import firesteel.network._
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.sql.{DataFrame, SparkSession}

/** Small data that is easy to learn: points around one center for each class. */
object Blobs {

  /** A point, its class and its weight. */
  final case class Point(id: Long, features: Vector, label: Double, weight: Double)

  val Size = 4

  def points(rows: Int, classes: Int = 3, seed: Int = 1): Seq[Point] = {
    val random = new Random(seed)
    (0 until rows).map { id =>
      val label = id % classes
      val values = Array.tabulate(Size)(i =>
        (if (i % classes == label) 2.0 else 0.0) + 0.5 * random.nextGaussian()
      )
      Point(id.toLong, Vectors.dense(values), label.toDouble, 1.0 + id % 2)
    }
  }

  def frame(spark: SparkSession, rows: Int = 240, classes: Int = 3): DataFrame =
    spark.createDataFrame(points(rows, classes)).repartition(2).cache()

  /** A classifier that learns them in a second. */
  def classifier(outputs: Int = 3): NetworkClassifier = new NetworkClassifier()
    .setNetwork(Network.sequential(Linear(16), ReLU, Linear(outputs)))
    .setLearningRate(0.02)
    .setBatchSize(16)
    .setEpochs(8)
    .setWindow(2)
    .setNumWorkers(2)
    .setSeed(7)

  /** A classifier whose epochs take long enough for a test to interrupt a fit. */
  def slowClassifier(): NetworkClassifier =
    classifier().setNetwork(Network.sequential(Linear(192), Tanh, Linear(192), Tanh, Linear(3)))

  def accuracy(predicted: DataFrame): Double = {
    val rows = predicted.select("label", "prediction").collect()
    rows.count(row => row.getAs[Number](0).doubleValue == row.getDouble(1)).toDouble / rows.length
  }
}
