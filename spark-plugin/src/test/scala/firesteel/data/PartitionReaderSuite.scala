package firesteel.data

import java.nio.file.Files

import firesteel.bridge.{InternalException, InvalidDataException}
import firesteel.util.Resources
import org.apache.spark.SparkException
import org.apache.spark.ml.linalg.Vectors
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.functions._
import org.scalatest.Assertion
import org.scalatest.funsuite.AnyFunSuite

final class PartitionReaderSuite extends AnyFunSuite with LocalSpark {

  private val rows = 1000

  /** Rows whose features and label follow from their `id`. */
  private def table: DataFrame = {
    val id = col("id")
    spark
      .range(0, rows.toLong, 1, 4)
      .select(
        id,
        array((0 until 5).map(i => (id + i).cast("float")): _*).as("floats"),
        array((0 until 5).map(i => (id + i).cast("double")): _*).as("doubles"),
        array((0 until 5).map(i => (id + i).cast("bigint")): _*).as("longs"),
        unhex(lpad(hex(id), 10, "0")).as("bytes"),
        (id % 3).cast("int").as("label"),
        (id / 2).as("weight"),
        id.cast("string").as("text")
      )
  }

  private def plan(df: DataFrame, features: String*): DataPlan =
    ColumnResolver
      .resolve(
        df,
        Seq(InputRequest("input", features)),
        Seq(LabelColumn("label", LabelKind.Class(3))),
        Some("weight")
      )
      .copy(spread = SpreadRows.Never) // the kind of read depends on the place of the rows

  private def expected(id: Int): Seq[Any] =
    Seq((0 until 5).map(i => (id + i).toFloat), (id % 3).toDouble, id / 2f)

  /** Checks every row, independent of the kind of read. */
  private def assertRows(df: DataFrame, tasks: Int, features: String = "floats"): Assertion = {
    val found = Pulled.rows(df, plan(df, features), tasks)
    assert(found.toSet == (0 until rows).map(expected).toSet)
    assert(found.size == rows)
  }

  private def withParquet[T](df: DataFrame, format: String)(block: DataFrame => T): T = {
    val folder = Files.createTempDirectory("firesteel").resolve("table").toString
    df.write.format(format).option("header", true).save(folder)
    block(spark.read.format(format).option("header", true).option("inferSchema", true).load(folder))
  }

  private def isColumnar(df: DataFrame, plan: DataPlan, tasks: Int): Boolean =
    RowSpreading.plan(df, plan, tasks).read.isInstanceOf[ColumnarRead]

  test("each kind of features arrives with its values and its type") {
    val df = table
    for ((column, arrow) <- Seq("floats" -> "FloatingPoint(SINGLE)", "longs" -> "Int(64, true)")) {
      val pulled = Pulled.from(df, plan(df, column), 2)
      assert(pulled.head.schema.contains(s"FixedSizeList(5)<item: $arrow not null>"))
    }
    assertRows(df, 2)
    assertRows(df, 2, "doubles")
    val bytes = Pulled.rows(df, plan(df, "bytes"), 2).map(_.head.asInstanceOf[Seq[Number]])
    val last = bytes.map(_.map(_.intValue & 0xff)).maxBy(b => b(3) * 256 + b(4))
    assert(last == Seq(0, 0, 0, (rows - 1) / 256, (rows - 1) % 256))
  }

  test("vectors arrive dense, whether a row is dense or sparse") {
    import spark.implicits._
    val df = Seq(
      (Vectors.dense(1, 2, 3), 0, 1f),
      (Vectors.sparse(3, Array(2), Array(5.0)), 1, 1f)
    ).toDF("features", "label", "weight")
    val found = Pulled.rows(df, plan(df, "features"), 1)
    assert(found.map(_.head).toSet == Set(Seq(1f, 2f, 3f), Seq(0f, 0f, 5f)))
  }

  test("vectors whose first row is sparse arrive as indices and values") {
    import spark.implicits._
    val dense = Vectors.dense(Array.tabulate(300)(i => if (i == 7) 9.0 else 0.0))
    val df = Seq(
      (Vectors.sparse(300, Array(2, 299), Array(5.0, 6.0)), 0, 1f),
      (dense, 1, 1f)
    ).toDF("features", "label", "weight")
    val resolved = plan(df, "features")
    assert(resolved.inputs.head.format == InputFormat.Sparse)
    val found = Pulled.rows(df, resolved, 1).map(row => (row(0), row(1)))
    assert(found.toSet == Set((Seq(2, 299), Seq(5f, 6f)), (Seq(7), Seq(9f))))
  }

  test("numeric columns make one row of values of their common type") {
    import spark.implicits._
    val df = Seq((1.toByte, 2.toShort, 3, 4.5f, BigDecimal(6), true, 1, 1f))
      .toDF("b", "s", "i", "f", "d", "t", "label", "weight")
    val all = Pulled.rows(df, plan(df, "b", "s", "i", "f", "d", "t"), 1)
    assert(all.head.head == Seq(1f, 2f, 3f, 4.5f, 6f, 1f))
    assert(plan(df, "b", "s").inputs.head.element == ElementType.I16)
    assert(Pulled.rows(df, plan(df, "b", "i"), 1).head.head == Seq(1, 3))
  }

  test("values of a label arrive as doubles") {
    val df = table
    val resolved = ColumnResolver.resolve(
      df,
      Seq(InputRequest("input", Seq("floats"))),
      Seq(LabelColumn("longs", LabelKind.Values(5)))
    )
    val found = Pulled.rows(df, resolved, 2).map(row => row(0) -> row(1)).toMap
    assert(found(Seq(1f, 2f, 3f, 4f, 5f)) == Seq(1.0, 2.0, 3.0, 4.0, 5.0))
  }

  test("the rows are the same from a cache, from files and through a shuffle") {
    withCache(table)(assertRows(_, 3))
    for (format <- Seq("parquet", "orc")) withParquet(table, format)(assertRows(_, 2))
    assertRows(table.repartition(2), 2)
    assertRows(table.sort(rand(1)), 2)
    assertRows(table.join(table.select(col("id").as("other")), col("id") === col("other")), 3)
    assertRows(table.union(table).distinct(), 2)
  }

  test("files and a cache of numbers are read columnar, with no row between") {
    withParquet(table, "parquet") { df =>
      assert(isColumnar(df, plan(df, "floats"), 2))
      assert(isColumnar(df.select("label", "weight", "floats"), plan(df, "floats"), 2))
      assert(!isColumnar(df.filter("id >= 0"), plan(df, "floats"), 2))
      assertRows(df.filter("id >= 0"), 2)
    }
    withCache(table.select("id", "label", "weight")) { numbers =>
      assert(isColumnar(numbers, plan(numbers, "id"), 2))
      assert(Pulled.rows(numbers, plan(numbers, "id"), 2).map(_.head).toSet.size == rows)
    }
  }

  test("a cache of a shuffled table is read columnar under adaptive execution") {
    withCache(table.select("id", "label", "weight").repartition(4)) { numbers =>
      assert(isColumnar(numbers, plan(numbers, "id"), 2))
      assert(Pulled.rows(numbers, plan(numbers, "id"), 2).size == rows)
    }
  }

  test("a cache of arrays and bytes is read columnar, with what it says of nulls and sizes") {
    for (adaptive <- Seq("true", "false"))
      withConf("spark.sql.adaptive.enabled" -> adaptive) {
        withCache(table.drop("text")) { df =>
          for (features <- Seq("floats", "doubles", "longs", "bytes"))
            assert(isColumnar(df, plan(df, features), 2), features)
          assertRows(df, 2)
          assertRows(df, 3, "doubles")
          val bytes = Pulled.rows(df, plan(df, "bytes"), 2).map(_.head.asInstanceOf[Seq[Number]])
          assert(bytes.map(_.map(_.intValue & 0xff)).map(b => b(3) * 256 + b(4)).toSet.size == rows)
        }
      }
    withConf("spark.sql.inMemoryColumnarStorage.batchSize" -> "7") {
      withCache(table.repartition(3))(assertRows(_, 2))
    }
  }

  test("text files give the same numbers") {
    withParquet(table.select("id", "label", "weight"), "csv") { df =>
      val found = Pulled.rows(df, plan(df, "id"), 2)
      assert(found.map(_.head.asInstanceOf[Seq[Int]].head).sorted == (0 until rows))
    }
  }

  test("the number of tasks is exact, and even where partitions are not") {
    for (tasks <- Seq(1, 2, 3, 7)) {
      val even = plan(table, "floats").copy(spread = SpreadRows.Auto)
      val counts = Pulled.from(table, even, tasks).map(_.rows.size)
      assert(counts.size == tasks && counts.sum == rows)
      assert(counts.max <= 1.1 * rows / tasks + 1)
    }
    val skewed = spark.range(0, 900, 1, 1).union(spark.range(900, 1000, 1, 3)).toDF("id")
    val df = skewed.join(table, "id").coalesce(2)
    val counts = Pulled.from(df, plan(df, "floats"), 2).map(_.rows.size)
    assert(counts.sum == rows && counts.max <= 550)
  }

  test("partitions that group evenly are not shuffled") {
    withParquet(table, "parquet") { df =>
      val rdd = withConf("spark.sql.files.maxPartitionBytes" -> "1000") {
        PartitionReader.runTasks(df, plan(df, "floats"), 2)(_.partition).rdd
      }
      assert(!rdd.toDebugString.contains("ShuffledRowRDD"))
    }
  }

  test("fewer rows than tasks leave tasks without rows") {
    val df = table.limit(2)
    assert(Pulled.from(df, plan(df, "floats"), 4).map(_.rows.size).sum == 2)
    val none = table.filter("id < 0")
    val resolved = ColumnResolver.resolve(
      none,
      Seq(InputRequest("input", Seq("floats"), Some(Seq(5)))),
      Nil
    )
    assert(Pulled.from(none, resolved, 3).map(_.rows.size) == Seq(0, 0, 0))
    val empty = spark.createDataFrame(java.util.List.of[org.apache.spark.sql.Row](), table.schema)
    assert(Pulled.from(empty, resolved, 3).map(_.rows.size) == Seq(0, 0, 0))
  }

  test("batches end at their limits, and every row is in one") {
    import spark.implicits._
    val wide = Seq
      .tabulate(30)(i => (Array.fill(400000)(i.toFloat), 0, 1f))
      .toDF("features", "label", "weight")
    val pulled = PartitionReader.runTasks(wide, plan(wide, "features"), 1) { stream =>
      var bytes = Seq.empty[Int]
      val part = Pulled.of(stream)
      bytes = part.batches
      bytes
    }
    val batches = pulled.rdd.collect().head
    assert(batches.sum == 30)
    assert(batches.max * 400000L * 4 <= BatchLimits.Default.bytes)
  }

  test("a null, an array of another size and a null in an array are named with their place") {
    def message(df: DataFrame, features: String): String = {
      val resolved = DataPlan(
        Seq(InputColumn("input", Seq(features), InputFormat.Dense, ElementType.F32, Seq(5), 1)),
        Nil,
        None
      )
      val error = intercept[SparkException](Pulled.rows(df, resolved, 1))
      assert(error.getCause.isInstanceOf[InvalidDataException])
      error.getCause.getMessage
    }
    val nulls = table.withColumn("floats", when(col("id") =!= 7, col("floats")))
    assert(message(nulls, "floats") == "the column 'floats' is null in row 7 of partition 0")
    val short = table.withColumn(
      "floats",
      when(col("id") === 8, slice(col("floats"), 1, 4)).otherwise(col("floats"))
    )
    assert(
      message(short, "floats") ==
        "the column 'floats' has 4 values in row 8 of partition 0, but 5 are expected"
    )
    val hole = table.withColumn(
      "floats",
      transform(col("floats"), (x, i) => when(col("id") =!= 9 || i =!= 3, x))
    )
    assert(
      message(hole, "floats") == "value 3 of the column 'floats' is null in row 9 of partition 0"
    )
    withParquet(hole.coalesce(1), "parquet") { df =>
      assert(message(df, "floats").startsWith("value 3 of the column 'floats' is null in row 9"))
    }
    withParquet(nulls.coalesce(1), "parquet") { df =>
      assert(message(df, "floats").startsWith("the column 'floats' is null in row 7"))
    }
    for ((bad, problem) <- Seq(nulls -> "null in row 7", short -> "4 values", hole -> "value 3"))
      withCache(bad.coalesce(1))(df => assert(message(df, "floats").contains(problem)))
    val bytes = table.withColumn("bytes", when(col("id") =!= 7, col("bytes"))).coalesce(1)
    withCache(bytes)(df => assert(message(df, "bytes").contains("null in row 7")))
    withCache(table.withColumn("bytes", substring(col("bytes"), 1, 3)).coalesce(1)) { df =>
      assert(message(df, "bytes").contains("has 3 values in row 0"))
    }
  }

  test("a failure of Spark while the stream is pulled is rethrown as itself") {
    val fails = udf((id: Long) => if (id == 500) throw new IllegalStateException("boom") else id)
    val df = table.withColumn("label", fails(col("id")).cast("int"))
    val error = intercept[SparkException](Pulled.rows(df, plan(df, "floats"), 2))
    val causes = Iterator.iterate[Throwable](error)(_.getCause).takeWhile(_ != null).toSeq
    assert(causes.exists(cause => Option(cause.getMessage).exists(_.contains("boom"))))
    assert(!causes.exists(_.getMessage.contains("errno")))
  }

  test("no Arrow memory is left, and what was left would be an error") {
    val df = table
    givesBackMemory(assert(Pulled.rows(df, plan(df, "floats"), 2).size == rows))
    val allocator = SqlPrivate.allocator("leaking")
    val buffer = allocator.buffer(64)
    val leak = intercept[InternalException](Resources.use(allocator)(_ => ()))
    assert(leak.getMessage == "64 bytes of Arrow memory were not given back to leaking")
    buffer.close()
    val cause = new IllegalStateException("first")
    val other = SqlPrivate.allocator("leaking too")
    val kept = other.buffer(64)
    assert(intercept[IllegalStateException](Resources.use(other)(_ => throw cause)) eq cause)
    assert(cause.getSuppressed.length == 1)
    kept.close()
  }

  test("a stream that nobody imports is given back") {
    val df = table
    def feed(consume: Long => Unit): Unit = {
      PartitionReader.runTasks(df, plan(df, "floats"), 2)(_.feed(consume)).rdd.collect()
      ()
    }
    givesBackMemory(feed(_ => ()))
    givesBackMemory {
      val error = intercept[SparkException](feed(_ => throw new IllegalStateException("mine")))
      assert(error.getCause.getMessage == "mine")
    }
  }

  test("a view and a name with a dot are read") {
    table.createOrReplaceTempView("numbers")
    assertRows(spark.table("numbers"), 2)
    val dotted = table.withColumnRenamed("floats", "my.floats")
    assert(Pulled.rows(dotted, plan(dotted, "my.floats"), 2).size == rows)
  }

  test("the batches of a stream are read") {
    withParquet(table, "parquet") { df =>
      val stream =
        spark.readStream.schema(df.schema).parquet(df.inputFiles.head.replaceAll("/[^/]*$", ""))
      var seen = Seq.empty[Seq[Any]]
      val handle: (DataFrame, Long) => Unit =
        (batch, _) => seen = seen ++ Pulled.rows(batch, plan(batch, "floats"), 2)
      val query = stream.writeStream.foreachBatch(handle).start()
      query.processAllAvailable()
      query.stop()
      assert(seen.toSet == (0 until rows).map(expected).toSet)
      assertThrows[IllegalArgumentException](
        PartitionReader.runTasks(stream, plan(df, "floats"), 1)(_ => 0)
      )
    }
  }
}
