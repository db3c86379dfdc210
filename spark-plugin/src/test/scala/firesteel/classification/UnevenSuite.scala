package firesteel.classification

import java.nio.file.Files

import scala.util.Random

import firesteel.data.LocalSpark
import firesteel.network._
import firesteel.params.Strategy
import org.apache.spark.ml.linalg.Vectors
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.funsuite.AnyFunSuite

/** Partitions without rows, with one row, with nearly all of them, and with rows of one class. */
final class UnevenSuite extends AnyFunSuite with LocalSpark {
  override protected lazy val spark: SparkSession = SparkSession
    .builder()
    .master("local[4]")
    .appName("firesteel")
    .config("spark.ui.enabled", false)
    .getOrCreate()

  // Half a point of accuracy is five of these rows, more than two fits that learn equally well differ by.
  private val sizes = Seq(0, 1, 860, 139)
  private val epochs = 20

  /** The rows of the blobs in partitions of these sizes. */
  private lazy val uneven: DataFrame = {
    val even = Blobs.frame(spark, sizes.sum)
    val rows = even.orderBy("id").collect()
    val ends = sizes.scanLeft(0)(_ + _)
    val parts = sizes.indices.map(index => rows.slice(ends(index), ends(index + 1)).toSeq)
    val rdd = spark.sparkContext.parallelize(parts, sizes.size).flatMap(identity)
    spark.createDataFrame(rdd, even.schema)
  }

  private def accuracy(strategy: String, data: DataFrame): Double = {
    // The last steps are small, so that fits of the same rows end alike.
    val estimator =
      Blobs.classifier().setStrategy(strategy).setEpochs(epochs).setSchedule("cosine")
    estimator.clear(estimator.window)
    if (strategy == "eamsgd") estimator.clear(estimator.learningRate)
    val model = estimator.setNumWorkers(if (strategy == "single") 1 else sizes.size).fit(data)
    val summary = model.summary
    val rows = summary.ledger.groupMapReduce(_.epoch)(_.rows)(_ + _)
    assert(rows === (0 until epochs).map(_ -> sizes.sum.toLong).toMap)
    assert(summary.ledger.forall(_.supersededRows == 0))
    Blobs.accuracy(model.transform(data))
  }

  /** Rows of four classes, each in clouds on all sides of the others, in a folder for each class. */
  private lazy val byClass: DataFrame = {
    val random = new Random(5)
    val points = Seq.tabulate(800) { id =>
      val cloud = id % 16
      val at = Seq(cloud / 4, cloud % 4).map(place => 3.0 * place + 0.4 * random.nextGaussian())
      Blobs.Point(id.toLong, Vectors.dense(at.toArray), ((cloud + cloud / 4) % 4).toDouble, 1.0)
    }
    val folder = Files.createTempDirectory("firesteel").resolve("classes").toString
    spark.createDataFrame(points).coalesce(1).write.partitionBy("label").parquet(folder)
    spark.read.parquet(folder)
  }

  private val asynchronous = Set("downpour", "adag", "agn-adaptive", "dynsgd", "aeasgd", "eamsgd")

  private def assertAbout(found: Double, expected: Double, tolerance: Double) = {
    info(s"accuracy $found, beside $expected")
    assert(found >= expected - tolerance)
  }

  private def accuracyByClass(strategy: String, data: DataFrame): Double = {
    val estimator = Blobs
      .classifier()
      .setNetwork(Network.sequential(Linear(64), ReLU, Linear(64), ReLU, Linear(4)))
      .setStrategy(strategy)
      .setEpochs(24)
      .setSchedule("cosine")
    // With longer windows and fewer epochs, fits of the same few rows differ by tenths.
    if (asynchronous.contains(Strategy(strategy).name)) estimator.setWindow(4).setEpochs(48)
    else estimator.clear(estimator.window)
    if (strategy == "eamsgd") estimator.setLearningRate(0.006)
    val model = estimator.setNumWorkers(if (strategy == "single") 1 else 2).fit(data)
    Blobs.accuracy(model.transform(byClass))
  }

  test("rows are spread evenly over the workers, however uneven the partitions are") {
    assert(uneven.rdd.mapPartitions(rows => Iterator(rows.size)).collect() === sizes)
    val workers =
      Blobs
        .classifier()
        .setStrategy("adag")
        .setEpochs(1)
        .setNumWorkers(sizes.size)
        .fit(uneven)
        .summary
        .byWorker
    assert(workers.map(_.rows).sum === sizes.sum)
    assert(workers.forall(worker => math.abs(worker.rows - sizes.sum / sizes.size) <= 1))
  }

  for (strategy <- Strategy.selectable)
    test(s"$strategy trains every row once an epoch, as well as over even partitions") {
      val even = uneven.repartition(sizes.size)
      assertAbout(accuracy(strategy, uneven), accuracy(strategy, even), 0.005)
    }

  for (strategy <- Strategy.names)
    test(s"$strategy learns from a folder for each class as well as from rows dealt by number") {
      val dealt = byClass.repartition(2)
      // Fits of the same rows differ by some hundredths; two classes a worker cost a third.
      assertAbout(accuracyByClass(strategy, byClass), accuracyByClass(strategy, dealt), 0.1)
    }
}
