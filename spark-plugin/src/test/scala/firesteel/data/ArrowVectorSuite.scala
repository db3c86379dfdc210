package firesteel.data

import java.util.{List => JavaList}

import scala.jdk.CollectionConverters._

import firesteel.bridge.InvalidDataException
import firesteel.util.Resources
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector._
import org.apache.arrow.vector.complex.{FixedSizeListVector, ListVector, StructVector}
import org.apache.arrow.vector.types.FloatingPointPrecision.{DOUBLE, SINGLE}
import org.apache.arrow.vector.types.pojo.{ArrowType, Field, FieldType}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnVector, ColumnarBatch}
import org.scalatest.funsuite.AnyFunSuite

/** Vectors that are already Arrow's, as those of Spark 4.3's Arrow cache. */
final class ArrowVectorSuite extends AnyFunSuite {

  private def fill(list: ListVector, rows: Seq[Seq[Double]])(set: (Int, Double) => Unit): Unit = {
    var at = 0
    for ((row, index) <- rows.zipWithIndex) {
      list.startNewValue(index)
      row.foreach { value =>
        set(at, value)
        at += 1
      }
      list.endValue(index, row.size)
    }
    list.getDataVector.setValueCount(at)
    list.setValueCount(rows.size)
  }

  private def list(name: String, arrow: ArrowType, allocator: BufferAllocator): ListVector = {
    val vector = ListVector.empty(name, allocator)
    vector.addOrGetVector[FieldVector](FieldType.nullable(arrow))
    vector.allocateNew()
    vector
  }

  private def floats(rows: Seq[Seq[Double]])(allocator: BufferAllocator): FieldVector = {
    val vector = list("floats", new ArrowType.FloatingPoint(SINGLE), allocator)
    val data = vector.getDataVector.asInstanceOf[Float4Vector]
    fill(vector, rows)((at, value) => data.setSafe(at, value.toFloat))
    vector
  }

  private def doubles(rows: Seq[Seq[Double]])(allocator: BufferAllocator): FieldVector = {
    val vector = list("doubles", new ArrowType.FloatingPoint(DOUBLE), allocator)
    val data = vector.getDataVector.asInstanceOf[Float8Vector]
    fill(vector, rows)(data.setSafe(_, _))
    vector
  }

  private def bytes(rows: Seq[Seq[Double]])(allocator: BufferAllocator): FieldVector = {
    val vector = new VarBinaryVector("bytes", allocator)
    vector.allocateNew()
    for ((row, index) <- rows.zipWithIndex) vector.setSafe(index, row.map(_.toByte).toArray)
    vector.setValueCount(rows.size)
    vector
  }

  /** ML vectors; `kinds` has 1 for a dense row, 0 for a sparse one of `rows`' indices and values. */
  private def vectors(size: Int, rows: Seq[(Option[Seq[Int]], Seq[Double])])(
      allocator: BufferAllocator
  ): FieldVector = {
    def field(name: String, arrow: ArrowType, children: Field*): Field =
      new Field(name, FieldType.nullable(arrow), children.asJava)
    val int = new ArrowType.Int(32, true)
    val struct = StructVector.empty("vectors", allocator)
    val double = new ArrowType.FloatingPoint(DOUBLE)
    struct.initializeChildrenFromFields(
      JavaList.of(
        field("type", new ArrowType.Int(8, true)),
        field("size", int),
        field("indices", ArrowType.List.INSTANCE, field("element", int)),
        field("values", ArrowType.List.INSTANCE, field("element", double))
      )
    )
    struct.allocateNew()
    val kinds = struct.getVectorById(0).asInstanceOf[TinyIntVector]
    val sizes = struct.getVectorById(1).asInstanceOf[IntVector]
    val indices = struct.getVectorById(2).asInstanceOf[ListVector]
    val values = struct.getVectorById(3).asInstanceOf[ListVector]
    for (((found, _), index) <- rows.zipWithIndex) {
      kinds.setSafe(index, if (found.isEmpty) 1 else 0)
      sizes.setSafe(index, size)
      struct.setIndexDefined(index)
    }
    val ints = indices.getDataVector.asInstanceOf[IntVector]
    fill(indices, rows.map(_._1.getOrElse(Nil).map(_.toDouble)))((i, v) => ints.setSafe(i, v.toInt))
    val numbers = values.getDataVector.asInstanceOf[Float8Vector]
    fill(values, rows.map(_._2))(numbers.setSafe(_, _))
    struct.setValueCount(rows.size)
    struct
  }

  /** The rows `from` until `end` of a batch of one Arrow column, through a filler. */
  private def read(
      make: BufferAllocator => FieldVector,
      dataType: DataType,
      size: Int,
      from: Int,
      end: Int,
      times: Int = 1
  ): Seq[Seq[Double]] =
    Resources.use(SqlPrivate.allocator("arrow-vectors")) { allocator =>
      Resources.use(make(allocator)) { vector =>
        val element = ColumnType.of(dataType).get.element
        val input = InputColumn("x", Seq("x"), InputFormat.Dense, element, Seq(size), 1)
        val source = Source(Map("x" -> (0 -> dataType)))
        val batch = new ColumnarBatch(Array[ColumnVector](new ArrowColumnVector(vector)), end)
        val limits = BatchLimits.Default
        Resources.use(new BatchFiller(allocator, DataPlan(Seq(input)), source, 0, limits)) {
          filler =>
            filler.begin()
            (0 until times).foreach(_ => filler.add(batch, from, end))
            rows(filler, allocator)
        }
      }
    }

  private def rows(filler: BatchFiller, allocator: BufferAllocator): Seq[Seq[Double]] =
    Resources.use(VectorSchemaRoot.create(filler.schema, allocator)) { root =>
      Resources.use(filler.finish())(new VectorLoader(root).load(_))
      val list = root.getVector(0).asInstanceOf[FixedSizeListVector]
      (0 until root.getRowCount).map { row =>
        list.getObject(row).asScala.toSeq.map(value => value.asInstanceOf[Number].doubleValue)
      }
    }

  private val five = (0 until 5).map(row => (0 until 3).map(i => row * 10.0 + i))

  test("arrays, bytes and dense vectors are copied, from any row on") {
    for ((from, end) <- Seq((0, 5), (2, 4))) {
      val expected = five.slice(from, end)
      assert(read(floats(five), ArrayType(FloatType), 3, from, end) == expected)
      assert(read(doubles(five), ArrayType(DoubleType), 3, from, end) == expected)
      assert(read(bytes(five), BinaryType, 3, from, end) == expected)
      assert(read(vectors(3, five.map(None -> _)), VectorType, 3, from, end) == expected)
    }
  }

  test("a batch made of several vectors holds the rows of all") {
    for (
      (make, dataType) <- Seq(floats(five) _ -> ArrayType(FloatType), bytes(five) _ -> BinaryType)
    )
      assert(read(make, dataType, 3, 1, 4, times = 3) == Seq.fill(3)(five.slice(1, 4)).flatten)
  }

  test("rows that begin a batch are not copied") {
    Resources.use(SqlPrivate.allocator("shared")) { allocator =>
      Resources.use(floats(five)(allocator)) { vector =>
        val before = allocator.getAllocatedMemory
        val arrow = ColumnBuilder.Float32
        Resources.use(new DenseBuilder(allocator, "x", arrow, 4, 3)) { builder =>
          builder.begin(5)
          val values = vector.asInstanceOf[ListVector].getDataVector.getDataBuffer
          assert(builder.share(values, 12, 4))
          assert(allocator.getAllocatedMemory == before)
          assert(builder.address(0) != values.memoryAddress + 12)
          assert(allocator.getAllocatedMemory > before)
        }
      }
    }
  }

  test("sparse vectors between dense ones become dense") {
    val mixed = Seq((None, Seq(1.0, 2.0, 3.0)), (Some(Seq(1)), Seq(5.0)))
    assert(
      read(vectors(3, mixed), VectorType, 3, 0, 2) == Seq(Seq(1.0, 2.0, 3.0), Seq(0.0, 5.0, 0.0))
    )
  }

  test("a row of another size is named, even where the sum of the sizes is right") {
    val uneven = Seq(Seq(1.0, 2.0), Seq(1.0, 2.0, 3.0, 4.0))
    for (
      (make, dataType) <- Seq(
        floats(uneven) _ -> ArrayType(FloatType),
        bytes(uneven) _ -> BinaryType
      )
    ) {
      val error = intercept[InvalidDataException](read(make, dataType, 3, 0, 2))
      assert(
        error.getMessage == "the column 'x' has 2 values in row 0 of partition 0, but 3 are expected"
      )
    }
  }

  test("an index of a vector that lies outside of it is refused") {
    for (index <- Seq(-1, 3, Int.MaxValue)) {
      val wrong = Seq((Some(Seq(index)), Seq(5.0)))
      val error = intercept[InvalidDataException](read(vectors(3, wrong), VectorType, 3, 0, 1))
      assert(error.getMessage.contains(s"a vector with the index $index in row 0"))
    }
  }
}
