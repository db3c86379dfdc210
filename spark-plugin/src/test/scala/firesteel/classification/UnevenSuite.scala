package firesteel.classification

import firesteel.data.LocalSpark
import firesteel.params.Strategy
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.funsuite.AnyFunSuite

/** Partitions without rows, with one row, and with nearly all of them. */
final class UnevenSuite extends AnyFunSuite with LocalSpark {
  override protected lazy val spark: SparkSession = SparkSession
    .builder()
    .master("local[4]")
    .appName("firesteel")
    .config("spark.ui.enabled", false)
    .getOrCreate()

  // Half a point of accuracy is five of these rows, more than two fits that learn equally well differ by.
  private val sizes = Seq(0, 1, 860, 139)
  private val epochs = 10

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
    val estimator = Blobs.classifier().setStrategy(strategy).setEpochs(epochs)
    estimator.clear(estimator.window)
    if (strategy == "eamsgd") estimator.clear(estimator.learningRate)
    val model = estimator.setNumWorkers(if (strategy == "single") 1 else sizes.size).fit(data)
    val summary = model.summary
    val rows = summary.ledger.groupMapReduce(_.epoch)(_.rows)(_ + _)
    assert(rows === (0 until epochs).map(_ -> sizes.sum.toLong).toMap)
    assert(summary.ledger.forall(_.supersededRows == 0))
    Blobs.accuracy(model.transform(data))
  }

  test("rows are spread evenly over the workers, however uneven the partitions are") {
    assert(uneven.rdd.mapPartitions(rows => Iterator(rows.size)).collect() === sizes)
    val workers =
      Blobs.classifier().setStrategy("adag").setEpochs(1).setNumWorkers(sizes.size).fit(uneven).summary.byWorker
    assert(workers.map(_.rows).sum === sizes.sum)
    assert(workers.forall(worker => math.abs(worker.rows - sizes.sum / sizes.size) <= 1))
  }

  for (strategy <- Strategy.selectable)
    test(s"$strategy trains every row once an epoch, as well as over even partitions") {
      val even = uneven.repartition(sizes.size)
      assert(accuracy(strategy, uneven) >= accuracy(strategy, even) - 0.005)
    }
}
